"""A config's text is formatted once, and formatted as ever."""

from mmengine.config import Config
from mmengine.config import config as mmengine_config
from yapf.yapflib import yapf_api

from dropblock_mm.starting import formatted_once
from dropblock_mm.starting.formatted_once import formatting_once


def test_the_same_text_is_formatted_once(monkeypatch):
    module = mmengine_config if hasattr(mmengine_config, 'FormatCode') else yapf_api
    original, asked = module.FormatCode, []

    def counting(text, **settings):
        asked.append(text)
        return original(text, **settings)

    monkeypatch.setattr(module, 'FormatCode', counting)
    monkeypatch.setattr(formatted_once, '_done', {})
    cfg = Config({'model': {'depth': 18}, 'lr': [0.1, 0.2]})
    plain = cfg.pretty_text
    asked.clear()
    with formatting_once():
        assert cfg.pretty_text == cfg.pretty_text == plain
        assert len(asked) == 1
        cfg.lr = [0.3]
        assert '0.3' in cfg.pretty_text
        assert len(asked) == 2
    assert module.FormatCode is counting
