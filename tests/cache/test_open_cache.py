import sys
from pathlib import Path

import pytest

import embedbridge.cache
from cache.parts import make_items, run_python
from embedbridge.cache import DiskCache, MemoryCache, RedisCache, TieredCache, open_cache
from embedbridge.cli import main
from embedbridge.errors import ConfigurationError, MissingExtraError


@pytest.mark.parametrize("spec", [None, False, [], [False, None]])
def test_no_cache(spec):
    assert open_cache(spec) is None


def test_true_is_the_directory_that_the_environment_names(monkeypatch, tmp_path):
    monkeypatch.setenv("EMBEDBRIDGE_CACHE_DIR", str(tmp_path / "here"))
    cache = open_cache(spec=True)
    assert isinstance(cache, DiskCache)
    assert cache.directory == tmp_path / "here"


def test_true_is_the_users_own_cache_directory_where_the_environment_names_none(monkeypatch, tmp_path):
    monkeypatch.delenv("EMBEDBRIDGE_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    cache = open_cache(spec=True)
    assert cache.directory.name == "embedbridge"
    assert tmp_path in cache.directory.parents


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_a_disk_cache_with_the_given_limits_and_is_not_touched(tmp_path, kind):
    cache = open_cache(kind(tmp_path / "c"), ttl=60, size_limit=10**6)
    assert isinstance(cache, DiskCache)
    assert (cache.directory, cache.ttl, cache.size_limit) == (tmp_path / "c", 60, 10**6)
    assert not (tmp_path / "c").exists()
    cache.close()
    assert not (tmp_path / "c").exists()


def test_a_relative_path_and_a_tilde_are_made_absolute_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert open_cache("c").directory == tmp_path / "c"
    assert open_cache("~/c").directory == tmp_path / "home" / "c"


@pytest.mark.parametrize("url", ["redis://host:1/0", "rediss://host", "valkey://host", "valkeys://host"])
def test_a_url_is_a_redis_cache_and_nothing_is_sent(url):
    cache = open_cache(url, ttl=60)
    assert isinstance(cache, RedisCache)
    assert cache.ttl == 60


def test_a_scheme_is_opened_by_the_class_in_its_row_and_by_no_other(monkeypatch):
    monkeypatch.setitem(embedbridge.cache._BY_SCHEME, "files", "DiskCache")
    with pytest.raises(ConfigurationError, match="directory is wanted"):
        open_cache("files://host")
    with pytest.raises(ConfigurationError, match=r"mysql:// is not known here; use one of redis, .*files, or a dir"):
        open_cache("mysql://host")


def test_a_url_in_the_place_of_a_directory_is_refused_and_its_password_is_neither_shown_nor_on_the_disk(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    url = "redis://me:s3cret@127.0.0.1:1/0"
    monkeypatch.setenv("EMBEDBRIDGE_CACHE_DIR", url)
    for arguments in ([], ["--cache", url]):
        assert main(["cache", "stats", *arguments]) != 0
        said = "".join(capsys.readouterr())
        assert "URL" in said
        assert "s3cret" not in said
    for directory in (url, Path(url), None):
        with pytest.raises(ConfigurationError, match="URL"):
            DiskCache(directory)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        *(f"redis://host/{database}" for database in ("abc", "-1", "1.5", "0/1", "٣", "0?db=x")),
        "redis://:s3cret@[::1/0",
        "rediss://host?ssl_password=s3cret",
    ],
)
def test_a_url_that_redis_py_would_read_otherwise_than_it_is_meant_is_refused(url):
    with pytest.raises(ConfigurationError, match="a Redis cache is written") as caught:
        open_cache(url)
    assert "s3cret" not in repr(caught.value)


@pytest.mark.parametrize("url", ["redis://host", "redis://host/", "redis://host/15", "redis://host:1/0?db=3"])
def test_the_database_is_a_number_or_left_out(url):
    assert isinstance(open_cache(url), RedisCache)


def test_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert isinstance(open_cache("memory", ttl=60), MemoryCache)


def test_a_list_is_tiers_nearest_first(tmp_path):
    cache = open_cache(["memory", tmp_path, "redis://host"], ttl=60)
    assert isinstance(cache, TieredCache)
    assert [type(tier) for tier in cache.tiers] == [MemoryCache, DiskCache, RedisCache]
    assert cache.ttl == 60
    assert cache.blocking


def test_a_cache_object_is_used_as_it_is():
    cache = MemoryCache()
    assert open_cache(cache) is cache
    assert open_cache([cache]).tiers == (cache,)


@pytest.mark.parametrize(
    "spec",
    ["", 3, object(), DiskCache, [MemoryCache], "mysql://host", "redis://", "redis://h:port", "http://host", "a\0b"],
)
def test_anything_else_says_what_to_write_instead(spec):
    with pytest.raises(ConfigurationError, match=r"use|written|NUL"):
        open_cache(spec)


def test_without_redis_py_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingExtraError, match=r'pip install "embedbridge\[redis\]"'):
        open_cache("redis://host")


def test_importing_and_opening_import_neither_redis_nor_langchain(tmp_path):
    code = """
import sys
from embedbridge.cache import open_cache
open_cache([True, sys.argv[1], "redis://host"])
print([name for name in ("redis", "langchain_core", "platformdirs.unix", "torch") if name in sys.modules])
"""
    assert run_python(code, tmp_path).strip() == "[]"


def test_opening_a_cache_that_is_used_needs_no_call_to_close(tmp_path):
    code = """
import sys
from cache.parts import make_items
from embedbridge.cache import open_cache
open_cache(sys.argv[1]).put_many(make_items(3))
"""
    run_python(code, tmp_path / "c")
    assert open_cache(tmp_path / "c").get_many(list(make_items(3))) == make_items(3)


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), "60", True])
@pytest.mark.parametrize(
    "make",
    [DiskCache, MemoryCache, lambda ttl: RedisCache("redis://h/0", ttl=ttl), lambda ttl: TieredCache([], ttl=ttl)],
)
def test_a_time_to_live_that_is_none_is_refused_when_a_cache_is_made(make, ttl):
    with pytest.raises(ConfigurationError, match="ttl: seconds"):
        make(ttl=ttl)


@pytest.mark.parametrize("size_limit", [0, -5, 1.5, "1GB", True])
@pytest.mark.parametrize("make", [DiskCache, MemoryCache])
def test_a_size_limit_that_is_none_is_refused_when_a_cache_is_made(make, size_limit):
    with pytest.raises(ConfigurationError, match="size_limit: whole bytes"):
        make(size_limit=size_limit)


@pytest.mark.parametrize("spec", [MemoryCache(), [MemoryCache(), "redis://host"], "redis://host"])
def test_a_size_limit_that_no_cache_would_obey_is_refused(spec):
    """C15."""
    with pytest.raises(ConfigurationError, match="cache_size_limit: it bounds memory and disks only"):
        open_cache(spec, size_limit=10**6)


def test_a_time_to_live_beside_a_cache_of_ones_own_is_refused_alone_and_obeyed_in_a_list():
    """C15."""
    own = MemoryCache()
    with pytest.raises(ConfigurationError, match="cache_ttl: the MemoryCache that was given has its own"):
        open_cache(own, ttl=60)
    assert open_cache([own], ttl=60).ttl == 60
    assert open_cache(own) is own


@pytest.mark.parametrize("name", ["socket_timeout", "socket_connect_timeout", "retry_on_timeout", "decode_responses"])
def test_a_redis_address_sets_nothing_that_is_set_here(name):
    """W13."""
    with pytest.raises(ConfigurationError, match=f"cannot set '{name}'"):
        RedisCache(f"redis://host/0?{name}=30")


def test_a_redis_address_may_set_the_database_the_name_and_tls():
    """W13."""
    assert "ssl_check_hostname" in RedisCache("rediss://host?db=3&client_name=a&ssl_check_hostname=False").url


def test_what_stores_loads_with_the_cache_that_needs_it():
    code = """
import sys
import embedbridge
from embedbridge.cache import open_cache

def loaded():
    return sorted({"sqlite3", "redis", "diskcache"} & sys.modules.keys())

open_cache("memory"), print(loaded())
open_cache(sys.argv[1]), print(loaded())
"""
    assert run_python(code, "./c").splitlines() == ["[]", "['sqlite3']"]
