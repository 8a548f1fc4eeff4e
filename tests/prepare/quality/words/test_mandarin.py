"""The normaliser by which Chinese errors are counted: fair to all ways of writing, blind to no real error."""

import re

import pytest

from sonorant.prepare.quality import sentences
from sonorant.prepare.quality.words.mandarin import syllables, units

SAME = [
    ("2025年3月14日", "二零二五年三月十四日"),
    ("2025年3月14日", "二〇二五年三月十四日"),
    ("2025-03-14", "2025年3月14日"),
    ("上午10:30", "上午十点三十分"),
    ("上午10:30", "上午10点30"),
    ("上午10:30", "上午10点30分"),
    ("下午2:30", "下午两点三十分"),
    ("9:00", "九点整"),
    ("9:00-18:00", "九点到十八点"),
    ("¥58.50", "五十八点五元"),
    ("¥58.50", "58元5角"),
    ("¥58.50", "五十八块五毛"),
    ("￥58.50", "58块5"),
    ("$20", "20美元"),
    ("$20", "二十美元"),
    ("6999元", "六千九百九十九元"),
    ("2000万美元", "两千万美元"),
    ("2000万美元", "2千万美元"),
    ("20,000,000元", "二千万元"),
    ("4块5", "四块五"),
    ("每斤4块5，一共多少钱", "每斤四块五一共多少钱"),
    ("運動會將於五月舉行", "运动会将于五月举行"),
    ("4块5", "四块五毛钱"),
    ("3块钱", "三元"),
    ("12.5%", "百分之十二点五"),
    ("12.5％", "百分之12.5"),
    ("28℃", "二十八摄氏度"),
    ("28°C", "28摄氏度"),
    ("零下5度", "零下五度"),
    ("1300公里", "1300km"),
    ("1300公里", "1,300 公里"),
    ("0.2千克", "零点二千克"),
    ("0.2kg", "0.2千克"),
    ("350公里/小时", "350 km/h"),
    ("350公里/小时", "每小时三百五十公里"),
    ("3/4", "四分之三"),
    ("½", "1/2"),
    ("256页", "两百五十六页"),
    ("256页", "二百五十六页"),
    ("14亿多人", "十四亿多人"),
    ("400-820-8820", "四零零八二零八八二零"),
    ("400-820-8820", "4008208820"),
    ("13812345678", "幺三八一二三四五六七八"),
    ("138 1234 5678", "一三八幺二三四五六七八"),
    ("010-62781234", "零一零六二七八一二三四"),
    ("验证码是394027。", "验证码是三九四零二七"),
    ("CZ3102次航班", "CZ三一零二次航班"),
    ("第21届", "第二十一届"),
    ("3比1", "三比一"),
    ("5-7个", "五到七个"),
    ("5～7个", "5到7个"),
    ("18到35岁", "十八到三十五岁"),
    ("3.1416", "三点一四一六"),
    ("会议10:30开始", "会议10.30分开始"),
    ("会议15:05开始", "会议15.05分开始"),
    ("0.2千克", "0.2000克"),
    ("3.14，不是3.15", "三点一四不是三点一五"),
    ("手机是13812345678吧", "手机是一三八一二三四五六七八吧"),
    ("花儿开了", "花开了"),
    ("一点儿", "一点"),
    ("小孩儿们", "小孩们"),
    ("會議室在銀行對面", "会议室在银行对面"),
    ("“你好，”他说：“再见！”", "你好他说再见"),
    ("ＡＢＣ公司", "ABC公司"),
    ("请打开Wi-Fi", "请打开WI FI"),
    ("这个API很好", "这个A.P.I.很好"),
    ("The time is 10:30.", "the time is ten thirty"),
    ("飞机晚点了，the new time is 10:30.", "飞机晚点了 the new time is ten thirty"),
    ("飞机晚点了，the new time is ten thirty.", "飞机晚点了, The New Time is 10.30。"),
    ("I'm fine谢谢", "I am fine，谢谢"),
    ("iPhone 15的价格", "iPhone十五的价格"),
    ("大小是20MB", "大小是二十 MB"),
    ("2年", "两年"),
    ("2个", "两个"),
]

DIFFERENT = [
    ("2025年", "2026年"),
    ("3月14日", "3月15日"),
    ("10:30", "10:13"),
    ("10:30", "十点半"),
    ("10:30", "十一点三十"),
    ("¥58.50", "$58.50"),
    ("¥58.50", "¥58.05"),
    ("¥58.50", "¥50.58"),
    ("2000万", "2000亿"),
    ("12.5%", "12.5"),
    ("12.5%", "20.5%"),
    ("28℃", "28度"),
    ("-5℃", "5℃"),
    ("5公里", "5千米"),
    ("5千克", "5克"),
    ("3/4", "1/4"),
    ("5-7个", "5和7个"),
    ("13812345678", "13812345687"),
    ("394027", "394021"),
    ("20元四斤", "20.4元斤"),
    ("3块五个", "3.5元个"),
    ("10.30", "10月30日"),
    ("86.4分", "86.5分"),
    ("第3首", "3首"),
    ("两个", "二个"),
    ("女儿", "女"),
    ("一点", "十一点"),
    ("他来了", "她来了"),
    ("银行", "很行"),
    ("我要买", "我要卖"),
    ("我喜欢coffee", "我喜欢copy"),
    ("open source项目", "项目open source"),
    ("this is好", "these are好"),
    ("ten thirty到了", "10:30到了"),
    ("没有", "有"),
    ("星期一", "周一"),
]


@pytest.mark.parametrize(("written", "spoken"), SAME)
def test_two_ways_to_write_the_same_speech_are_equal(written: str, spoken: str) -> None:
    assert units(written) == units(spoken)


@pytest.mark.parametrize(("said", "heard"), DIFFERENT)
def test_what_sounds_or_means_otherwise_stays_different(said: str, heard: str) -> None:
    assert units(said) != units(heard)


@pytest.mark.parametrize("text", [text for pair in SAME + DIFFERENT for text in pair])
def test_units_are_not_changed_again(text: str) -> None:
    spoken = re.sub(r"(?<=[^ -~]) (?=[^ -~])", "", " ".join(units(text)))
    assert units(spoken) == units(text)


@pytest.mark.parametrize(
    "text", ["", "…", "°", "1/0", "99:99", "元5角", "2点", "块", "0", "A1B2中3C", "😀 hello 世界"]
)
def test_odd_text_is_taken_as_it_comes(text: str) -> None:
    assert all(re.fullmatch(r"[\u4e00-\u9fff]|[a-z0-9]+", unit) for unit in units(text))


def test_the_units_are_characters_and_words() -> None:
    assert units("请在GitHub上下载20MB。") == ["请", "在", "github", "上", "下", "载", "二", "十", "mb"]
    assert units("The word is 你好") == ["the", "word", "is", "你", "好"]


@pytest.mark.parametrize(("file", "at_least"), [("chinese", 66), ("mixed", 32)])
def test_the_sentences_of_the_round_trip_become_plain_units(file: str, at_least: int) -> None:
    lines = sentences.lines(file)
    assert len(lines) >= at_least
    assert len({tuple(units(line)) for line in lines}) == len(lines)
    for line in lines:
        spoken = units(line)
        assert all(re.fullmatch(r"[\u4e00-\u9fff]|[a-z]+", unit) for unit in spoken), line
        assert all(unit.isascii() or re.fullmatch(r"[a-z]+[1-5]", told)
                   for unit, told in zip(spoken, syllables(spoken), strict=True)), line  # fmt: skip


@pytest.mark.parametrize(
    ("text", "pinyin"),
    [
        ("银行", "yin2 hang2"), ("行走", "xing2 zou3"), ("长大", "zhang3 da4"), ("长度", "chang2 du4"),
        ("重要", "zhong4 yao4"), ("重复", "chong2 fu4"), ("音乐", "yin1 yue4"), ("快乐", "kuai4 le4"),
        ("女儿的WiFi", "nv3 er2 de5 wifi"),
    ],
)  # fmt: skip
def test_words_choose_between_the_readings_of_a_character(text: str, pinyin: str) -> None:
    assert " ".join(syllables(units(text))) == pinyin


def test_tones_are_those_of_the_dictionary_or_of_connected_speech() -> None:
    assert syllables(["你", "好"]) == ["ni3", "hao3"]
    assert syllables(["你", "好"], sandhi=True) == ["ni2", "hao3"]
    assert syllables(units("公园里走走"), sandhi=True) == ["gong1", "yuan2", "li2", "zou2", "zou3"]
