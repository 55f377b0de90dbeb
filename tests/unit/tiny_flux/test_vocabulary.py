"""Plain sentences are whole words to the text encoders, and any other text is taken."""

import random

import pytest

from serve_app.tiny_flux.language import all_scenes, caption
from serve_app.tiny_flux.vocabulary import (
    CLIP_TEXT_TOKENS,
    MAX_TEXT_TOKENS,
    build_clip_tokenizer,
    build_t5_tokenizer,
)


def test_a_plain_sentence_is_one_t5_token_a_word() -> None:
    tokenizer = build_t5_tokenizer()
    rng = random.Random(0)
    for scene in rng.sample(all_scenes(), 200):
        sentence = caption(scene, rng).rstrip(".")
        tokens = tokenizer(sentence).input_ids
        assert len(tokens) == len(sentence.split()) + 1, sentence
        assert tokenizer.unk_token_id not in tokens
        assert len(tokens) < MAX_TEXT_TOKENS


@pytest.mark.parametrize("text", ["", "灯台 🗼 café", "\u0000\u200b", "a" * 5000, "RED CIRCLE"])
def test_any_text_is_taken(text: str) -> None:
    t5 = build_t5_tokenizer()(text, truncation=True, padding="max_length")
    clip = build_clip_tokenizer()(text, truncation=True, padding="max_length")
    assert len(t5.input_ids) == MAX_TEXT_TOKENS
    assert len(clip.input_ids) == CLIP_TEXT_TOKENS


def test_different_sentences_are_different_tokens() -> None:
    clip, t5 = build_clip_tokenizer(), build_t5_tokenizer()
    rng = random.Random(1)
    sentences = {caption(scene, rng).lower().rstrip(".") for scene in all_scenes()[::5]}
    for tokenizer in (clip, t5):
        assert len({tuple(tokenizer(text).input_ids) for text in sentences}) == len(sentences)
