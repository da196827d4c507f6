"""Retrieval: asks a model for something that stands far back in its text, and scores the answer."""

from dataclasses import dataclass

from models.attention import Pattern
from models.evaluation.reading import Predictor, likelihoods
from models.tokenizer import Tokenizer

__all__ = ["Answer", "Task", "answer", "asked"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A text that ends where the answer must follow.

    kind: the generator's name.
    length: tokens asked for; the prompt has about as many.
    depth: where what is asked for stands: 0 at the start of the filler, 1 at its end.
    prompt: tokens, question and beginning of the reply included.
    answer: tokens of the right answer.
    needle: positions start, stop of the sentence that holds it.
    """

    kind: str
    length: int
    depth: float
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    needle: tuple[int, int]

    def is_within(self, pattern: Pattern) -> bool:
        """Return whether every query that predicts the answer reads the whole needle itself."""
        first, last = len(self.prompt) - 1, len(self.prompt) + len(self.answer) - 2
        return all(
            any(start <= self.needle[0] and self.needle[1] <= stop for start, stop in pattern.spans(position, position + 1))
            for position in range(first, last + 1)
        )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a model answered.

    is_right: whether the greedy continuation is the answer, token for token.
    nll: mean negative log-likelihood of the answer's tokens, nats.
    worst_rank: tokens that were found likelier than an answer's token, at the worst of them.
    """

    is_right: bool
    nll: float
    worst_rank: int


def asked(tokenizer: Tokenizer, content: str, needle: str, reply: str) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Return the tokens of a question and of the beginning of its reply, and the positions of the needle in them.

    content: what the user says, under the chat template where there is one.
    needle: occurs in `content`; what stands before, in and after it becomes tokens separately.
    """
    plain = tokenizer.chat_template is None
    text = f"{content}\n" if plain else tokenizer.render_chat([{"role": "user", "content": content}])
    before, _, after = f"{text}{reply}".partition(needle)
    head, middle, tail = (tokenizer.encode(part) for part in (before, needle, after))
    # A conversation brings the token that begins it, if any; a plain text does not.
    head = [*tokenizer.opening, *head] if plain else head
    return (*head, *middle, *tail), (len(head), len(head) + len(middle))


def answer(model: Predictor, task: Task) -> Answer:
    """Return what `model` answers.

    The answer is fed after the prompt. The greedy continuation equals it exactly when each of its tokens is the likeliest
    after those before it, so one reading tells, and ranks and likelihoods beside.
    """
    fed = (*task.prompt, *task.answer[:-1])
    logits = model.open().feed(fed, len(task.answer))
    ranks = [int((row > row[token]).sum()) for row, token in zip(logits, task.answer, strict=True)]
    chosen = logits.argmax(dim=1).tolist()
    return Answer(is_right=chosen == list(task.answer), nll=-float(likelihoods(logits, task.answer).mean()), worst_rank=max(ranks))
