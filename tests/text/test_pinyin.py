"""Which reading a Chinese character has, and the tones of connected speech."""

import pytest

from sonorant.text.pinyin import words


def syllables(text: str) -> list[str]:
    return [syllable for _, told in words(text) for syllable in told]


@pytest.mark.parametrize(
    ("text", "character", "reading"),
    [
        ("请系好安全带", "系", "ji4"), ("系鞋带", "系", "ji4"), ("系统更新", "系", "xi4"), ("中文系", "系", "xi4"),
        ("你是今天还钱", "还", "huan2"), ("还是下个月再还", "再", "zai4"), ("什么时候还", "还", "huan2"),
        ("我要还给他", "还", "huan2"), ("书还了吗", "还", "huan2"), ("他还在睡", "还", "hai2"), ("还有三个", "还", "hai2"),
        ("请把温度调低", "调", "tiao2"), ("音量调到最大", "调", "tiao2"), ("调查显示", "调", "diao4"),
        ("他被调走了", "调", "diao4"), ("全省最长的桥", "长", "chang2"), ("还有多长时间", "长", "chang2"),
        ("他长高了", "长", "zhang3"), ("我是班长", "长", "zhang3"), ("一共有两千行", "行", "hang2"),
        ("第三行第二列", "行", "hang2"), ("每行八个字", "行", "hang2"), ("一行人", "行", "xing2"),
        ("这样行吗", "行", "xing2"), ("静静地听", "地", "de5"), ("慢慢地走", "地", "de5"), ("认真地学习", "地", "de5"),
        ("这块地很大", "地", "di4"), ("他坐在地上", "地", "di4"), ("高兴得跳起来", "得", "de5"), ("说得非常好", "得", "de5"),
        ("你得去医院", "得", "dei3"), ("他得了冠军", "得", "de2"), ("两只猫", "只", "zhi1"), ("只能这样", "只", "zhi3"),
        ("受不了", "了", "liao3"), ("他不了解", "了", "liao3"), ("吃完了", "了", "le5"), ("设为首页", "为", "wei2"),
        ("为你唱歌", "为", "wei4"), ("重启电脑", "重", "chong2"), ("箱子很重", "重", "zhong4"), ("种花", "种", "zhong4"),
        ("一种方法", "种", "zhong3"), ("倒一杯水", "倒", "dao4"), ("教我弹琴", "教", "jiao1"), ("背着书包", "背", "bei1"),
        ("请三天假", "假", "jia4"), ("空闲时间", "空", "kong4"), ("西红柿和瓜", "和", "he2"),
    ],
)  # fmt: skip
def test_characters_with_several_readings(text, character, reading):
    assert syllables(text)[text.index(character)] == reading


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # 一 and 不 by the tone that follows, across words too
        ("一个", "yi2 ge4"), ("一天", "yi4 tian1"), ("一起", "yi4 qi3"), ("一共", "yi2 gong4"), ("进一步", "jin4 yi2 bu4"),
        ("他一来", "ta1 yi4 lai2"), ("看一看", "kan4 yi5 kan4"), ("第一", "di4 yi1"), ("一月一日", "yi1 yue4 yi1 ri4"),
        ("一九四九年", "yi1 jiu3 si4 jiu3 nian2"), ("周一到周五", "zhou1 yi1 dao4 zhou1 wu3"), ("一点五", "yi1 dian3 wu3"),
        ("四分之一的人", "si4 fen1 zhi1 yi1 de5 ren2"), ("一百一十一", "yi4 bai3 yi1 shi2 yi1"),
        ("不是", "bu2 shi4"), ("不变", "bu2 bian4"), ("不好", "bu4 hao3"), ("去不去", "qu4 bu5 qu4"), ("我不", "wo3 bu4"),
        # a third tone before a third stays: Kokoro makes it a second by itself
        ("你好", "ni3 hao3"),
        # the second syllable without tone
        ("时候", "shi2 hou5"), ("消息", "xiao1 xi5"), ("学生们", "xue2 sheng5 men5"),
        # 儿 as an ending has none either
        ("花儿", "hua1 er5"), ("一点儿", "yi4 dian3 er5"), ("小孩儿们", "xiao3 hai2 er5 men5"), ("女儿", "nv3 er2"),
        ("儿子", "er2 zi5"), ("幼儿园", "you4 er2 yuan2"),
    ],
)  # fmt: skip
def test_connected_speech(text, expected):
    assert " ".join(syllables(text)) == expected


def test_every_character_has_one_syllable():
    text = "他㐂欢在圕里看书，这个字𠮷念不出来"
    for stretch in (text[:2], "圕里看书", "这个字", "念不出来"):
        assert len(syllables(stretch)) == len(stretch)
