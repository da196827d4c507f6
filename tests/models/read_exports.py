"""Reads exported folders with the transformers of whichever Python runs it: `python read_exports.py JOB.json`.

It needs PyTorch and transformers alone. JOB.json names the folders, the tokens and texts for each, and the file for the answers.
"""

import json
import sys
from pathlib import Path

import torch
import transformers

NEW_TOKENS = 6


def read(folder: Path, loader: str, tokens: list[int], texts: list[str]) -> dict[str, object]:
    """Return what a folder computes: logits after each token, what is generated after them, and the texts as tokens.

    loader: name of the class that loads the tokenizer.
    """
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32).eval()
    tokenizer = getattr(transformers, loader).from_pretrained(folder)
    whole = torch.tensor([tokens])
    with torch.no_grad():
        logits = model(whole).logits[0]
        told = model.generate(whole, attention_mask=torch.ones_like(whole), max_new_tokens=NEW_TOKENS, do_sample=False)
    batch = tokenizer(texts[0], return_tensors="pt")
    assert model.generate(**batch, max_new_tokens=1, do_sample=False).shape[1] == batch["input_ids"].shape[1] + 1
    generation = model.generation_config
    return {
        "model": type(model).__name__,
        "logits": logits.tolist(),
        "told": told[0, len(tokens) :].tolist(),
        "texts": [tokenizer(text)["input_ids"] for text in texts],
        "decoded": [tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) for text in texts],
        "chat": tokenizer.apply_chat_template([{"role": "user", "content": texts[0]}], tokenize=False, add_generation_prompt=True),
        "special": dict(tokenizer.special_tokens_map),
        "ends": [generation.bos_token_id, generation.eos_token_id, generation.pad_token_id],
    }


def main(job: Path) -> None:
    """Answer a job; what a folder is refused with stands for its answer."""
    asked = json.loads(job.read_text())
    answers: dict[str, object] = {"transformers": transformers.__version__}
    for name, each in asked["folders"].items():
        try:
            answers[name] = read(Path(each["folder"]), each["loader"], each["tokens"], each["texts"])
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError) as error:
            answers[name] = {"refused": f"{type(error).__name__}: {error}"}
    Path(asked["answers"]).write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
