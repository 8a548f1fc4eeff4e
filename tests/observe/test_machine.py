"""What a container may use, in files as the kernel writes them."""

import os

import pytest

from sonorant.observe.machine import cores


def root(tmp_path, cgroup):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(cgroup)
    return tmp_path


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def test_a_container_has_the_cores_that_its_quota_pays_for(tmp_path):
    here = root(tmp_path, "0::/\n")
    assert cores(here) == 8
    file = here / "sys/fs/cgroup/cpu.max"
    file.parent.mkdir(parents=True)
    for quota, found in (("150000 100000", 2), ("20000 100000", 1), ("3200000 100000", 8), ("max 100000", 8)):
        file.write_text(quota)
        assert cores(here) == found, quota


def test_a_service_has_the_quota_of_its_own_group(tmp_path):
    folder = tmp_path / "sys/fs/cgroup/system.slice/sonorant.service"
    folder.mkdir(parents=True)
    (folder / "cpu.max").write_text("300000 100000\n")
    assert cores(root(tmp_path, "0::/system.slice/sonorant.service\n")) == 3


def test_control_groups_of_version_1(tmp_path):
    folder = tmp_path / "sys/fs/cgroup/cpu"
    folder.mkdir(parents=True)
    here = root(tmp_path, "5:cpu,cpuacct:/\n3:memory:/\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    for quota, found in (("400000", 4), ("-1", 8)):
        (folder / "cpu.cfs_quota_us").write_text(quota)
        assert cores(here) == found
