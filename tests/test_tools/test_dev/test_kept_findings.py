import pytest

from tools.dev.kept_findings import KeptFindings, digest_of


def test_what_was_found_is_found_again(tmp_path):
    path = tmp_path / 'folder/kept.jsonl'
    asked = []

    def find():
        asked.append(1)
        return [len(asked), 'text']

    assert KeptFindings(path, 'a').get('key', find) == [1, 'text']
    again = KeptFindings(path, 'a')
    assert again.get('key', find) == [1, 'text']
    assert again.get('other', find) == [2, 'text']
    assert KeptFindings(path, 'a').get('other', find) == [2, 'text']
    assert KeptFindings(path, 'b').get('key', find) == [3, 'text']
    assert KeptFindings(None).get('key', find) == [4, 'text']


@pytest.mark.parametrize('cut', [1, 5, 20])
def test_a_line_that_was_cut_short_is_found_anew(tmp_path, cut):
    path = tmp_path / 'kept.jsonl'
    kept = KeptFindings(path)
    kept.get('first', lambda: 1)
    kept.get('second', lambda: 2)
    path.write_bytes(path.read_bytes()[:-cut])
    kept = KeptFindings(path)
    assert kept.get('first', pytest.fail) == 1
    assert kept.get('second', lambda: 'anew') == ('anew' if cut > 1 else 2)
    assert KeptFindings(path).get('first', pytest.fail) == 1


def test_the_digest_is_of_code(tmp_path):
    (tmp_path / 'a.py').write_text('a = 1')
    (tmp_path / 'a.txt').write_text('text')
    before = digest_of([tmp_path])
    (tmp_path / 'a.txt').write_text('other text')
    assert digest_of([tmp_path]) == before == digest_of([tmp_path / 'a.py'])
    (tmp_path / 'a.py').write_text('a = 2')
    assert digest_of([tmp_path]) != before
