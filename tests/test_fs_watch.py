import os

import pytest

from gruvi_cffi import Cancelled, Timeout, fs, limits, sleep, spawn


@pytest.fixture
def watch(tmp_path):
    with fs.watch(tmp_path) as made:
        yield made


def names(watch, count):
    found = set()
    while len(found) < count:
        found.add(watch.next(20).name)
    return found


def test_what_happens_in_a_folder(watch, tmp_path):
    (tmp_path / 'a').write_text('spam')
    change = watch.next(20)
    assert change == fs.Change('renamed', 'a')
    (tmp_path / 'b').mkdir()
    os.rename(tmp_path / 'a', tmp_path / 'c')
    assert names(watch, 3) >= {'b', 'c'}
    with pytest.raises(Timeout):
        while True:
            watch.next(0.01)
    with open(tmp_path / 'c', 'a') as file:
        file.write('eggs')
    assert watch.next(20) == ('changed', 'c')


def test_a_file(tmp_path):
    path = tmp_path / 'file'
    path.write_text('')
    with fs.watch(path) as watch:
        waiting = spawn(watch.next)
        sleep(0.001)
        path.write_text('spam')
        assert waiting.result(20) == ('changed', 'file')


def test_an_iterator_that_ends(watch, tmp_path):
    seen = []

    def look():
        seen.extend(watch)

    fiber = spawn(look)
    (tmp_path / 'a').write_text('')
    while not seen:
        sleep(0.001)
    watch.close()
    fiber.result(20)
    watch.close()
    with pytest.raises(ValueError, match='closed'):
        watch.next()


def test_one_fiber_at_a_time(watch):
    fiber = spawn(watch.next)
    sleep(0)
    with pytest.raises(RuntimeError, match='another fiber'):
        watch.next()
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result(20)


def test_more_than_can_be_kept(watch, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, 'FILE_CHANGES', 10)
    for number in range(50):
        (tmp_path / str(number)).write_text('')
    sleep(0.01)
    kinds = []
    with pytest.raises(Timeout):
        while True:
            kinds.append(watch.next(0.01).kind)
    assert len(kinds) == 11
    assert kinds[-1] == 'overflow'


def test_what_cannot_be_watched(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        fs.watch(tmp_path / 'nonesuch')
    assert caught.value.filename == str(tmp_path / 'nonesuch')
    with pytest.raises(ValueError, match='NUL'):
        fs.watch('a\0b')
