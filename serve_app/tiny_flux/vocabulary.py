"""The two tokenizers, made from the drawing language and able to take any text.

T5's is a Unigram model whose pieces are the language's whole words and single characters;
CLIP's is a byte-level BPE. A character that T5's does not know becomes its unknown token.
"""

import json
import random
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer, T5TokenizerFast

from serve_app.tiny_flux.language import all_scenes, caption

MAX_TEXT_TOKENS = 24  # of T5, padding included: twice the longest plain sentence
CLIP_TEXT_TOKENS = 77
CLIP_VOCABULARY = 700
WORD_SCORE, CHARACTER_SCORE = -3.0, -12.0  # a whole word always beats its letters


def build_t5_tokenizer() -> T5TokenizerFast:
    """Return the second tokenizer: whole words first, then characters."""
    pieces = ["▁" + word for word in _words()]
    scores = dict.fromkeys(pieces, WORD_SCORE)
    scores |= dict.fromkeys(",.", WORD_SCORE)
    characters = [chr(code) for code in (*range(33, 127), *range(0xA1, 0x180))]
    for character in ["▁", *characters]:
        scores.setdefault(character, CHARACTER_SCORE)
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *scores.items()]
    vocabulary += [(f"<extra_id_{index}>", 0.0) for index in range(99, -1, -1)]
    return T5TokenizerFast(vocab=vocabulary, extra_ids=100, model_max_length=MAX_TEXT_TOKENS)


def build_clip_tokenizer() -> CLIPTokenizer:
    """Return the first tokenizer: byte-level, so that no text is unknown to it."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    plain = CLIPTokenizer().backend_tokenizer
    tokenizer.normalizer = plain.normalizer
    tokenizer.pre_tokenizer = plain.pre_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=CLIP_VOCABULARY,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    rng = random.Random(0)
    tokenizer.train_from_iterator([caption(scene, rng) for scene in all_scenes()], trainer)
    learnt = json.loads(tokenizer.to_str())["model"]["merges"]
    merges = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in learnt]
    names = alphabet + [letter + "</w>" for letter in alphabet]
    names += [left + right for left, right in merges]
    names += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {name: index for index, name in enumerate(dict.fromkeys(names))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=CLIP_TEXT_TOKENS)


def save_clip_tokenizer(tokenizer: CLIPTokenizer, directory: Path) -> None:
    """Save the first tokenizer, with the two classic files that older readers ask for."""
    tokenizer.save_pretrained(directory)
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    vocabulary = json.dumps(model["vocab"], ensure_ascii=False)
    (directory / "vocab.json").write_text(vocabulary, encoding="utf-8")
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    text = "\n".join(["#version: 0.2", *merges]) + "\n"
    (directory / "merges.txt").write_text(text, encoding="utf-8")


def _words() -> list[str]:
    rng = random.Random(0)
    captions = (caption(scene, rng) for scene in all_scenes())
    words = {word.strip(".") for text in captions for word in text.lower().split()}
    return sorted(words | {word.capitalize() for word in words})
