"""Another assistant's or provider's name than the target's.

Names that nothing else is called are found wherever they stand. Those that are also a person's, an animal's or a company's of
many trades (Claude, Llama, Gemini, Google) are found where the sentence speaks of an assistant or a model.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msmc.backend.gates.found import Found
from msmc.ir import Identity


class Known(NamedTuple):
    """One assistant or provider by all its names."""

    certain: str = ""
    """A pattern of names that mean nothing else."""
    common: str = ""
    """Of names that are also something else's."""


ASSISTANTS = (
    Known(r"Chat[- ]?GPT(?:[- ]\d\w*)?|GPT-\d(?:\.\d)?\w*(?: Turbo)?|InstructGPT"),
    Known(r"Claude[- ](?:Instant|Opus|Sonnet|Haiku|\d(?:\.\d)?\b)", "Claude"),
    Known(r"Gemini[- ](?:Pro|Ultra|Nano|Flash|Advanced|\d\.\d)", "Gemini"),
    Known(r"Gemma[- ]?\d\w*|CodeGemma|PaliGemma", "Gemma"),
    Known(r"Google Bard", "Bard"),
    Known(r"PaLM(?:[- ]2)?|LaMDA"),
    Known(r"LLaMA(?:[- ]?\d)?|Llama[- ]?[1-4](?:\.\d)?(?:-\w+)*|Code Llama", "Llama"),
    Known(r"Mixtral|Codestral|Mistral[- ](?:7B|Large|Medium|Small|Nemo)", "Mistral"),
    Known(r"Qwen[\d.]*(?:-\w+)*|QwQ|Tongyi Qianwen"),
    Known(r"DeepSeek(?:[- ][VR]\d)?"),
    Known(r"Grok[- ][1-4]\b", "Grok"),
    Known(r"(?:GitHub|Microsoft) Copilot|Bing Chat", "Copilot"),
    Known(r"Cortana"),
    Known("", "Siri"),
    Known(r"Amazon Alexa", "Alexa"),
    Known(r"Falcon[- ](?:7B|40B|180B)", "Falcon"),
    Known(r"Vicuna-\d+B", "Vicuna"),
    Known(r"Alpaca-\d+B", "Alpaca"),
    Known(r"Phi-\d(?:\.\d)?(?:-\w+)*"),
    Known(r"Smol(?:LM|VLM)\d?"),
    Known(r"OLMo(?:[- ]\d)?"),
    Known(r"Kimi K\d", "Kimi"),
    Known(r"Doubao"),
    Known(r"ERNIE Bot"),
    Known(r"ChatGLM\d?|GLM-\d(?:\.\d)?"),
    Known(r"InternLM\d?|StableLM|Nemotron|BLOOMZ|DBRX|Baichuan\d?|Replika|Character\.AI|Jurassic-\d"),
    Known(r"Command R\+?"),
    Known(r"Amazon Nova", "Nova"),
    Known("", "Perplexity"),
    Known("", "Zephyr"),
    Known("", "Granite"),
)
PROVIDERS = (
    Known(r"OpenAI"),
    Known(r"Anthropic(?! [Pp]rinciple)"),
    Known(r"Google DeepMind|DeepMind", "Google"),
    Known(r"Meta AI|Facebook AI", "Meta|Facebook"),
    Known(r"Mistral AI"),
    Known(r"Hugging ?Face"),
    Known(r"xAI"),
    Known(r"DeepSeek AI"),
    Known(r"Alibaba Cloud", "Alibaba"),
    Known(r"Microsoft Research AI", "Microsoft"),
    Known("", "Amazon"),
    Known("", "Apple"),
    Known("", "Baidu|Tencent|ByteDance"),
    Known("", "Nvidia|NVIDIA"),
    Known("", "IBM"),
    Known(r"Moonshot AI|Zhipu AI|EleutherAI|Stability AI|Inflection AI|AI21 Labs|Allen Institute for AI"),
    Known("", "Cohere"),
)
NAME, OWN = "\ue000", "\ue001"
"""Stand in a sentence for the name that is looked at, and for the assistant's own."""
MACHINE = (
    r"(?:AI|A\.I\.|LLMs?|[Cc]hat ?bots?|(?:[Ll]arge )?[Ll]anguage models?"
    r"|(?:AI|chat|virtual|digital|voice) (?:assistants?|models?))"
)
MAKERS = r"Google|Meta|Anthropic|Microsoft|Amazon|Apple|xAI|Twitter|Mistral|Alibaba|IBM|OpenAI|Moonshot"
MADE = r"(?:made|developed|built|created|trained|released|designed|published|run)"
OF_A_PERSON = r"(?! (?:professor|director|manager|editor|cook|coach|chef|teacher|secretary|at|to|in|who)\b)"
NOT_A_PERSON_S = (
    r"(?<!my )(?<!his )(?<!her )(?<!our )(?<!their )(?<!'s )(?<!’s )(?<!ing )(?<!ch )(?<!shop )(?<!lab )(?<!cal )"
)
OF_ASSISTANTS = re.compile(
    # Claude, an AI assistant by …; Gemini is the assistant; Claude (a language model)
    rf"{NAME}(?:,| is| was|,? (?:too|also) is| \() ?(?:an?|the|another) (?:[\w-]+ ){{0,2}}?"
    rf"(?:{MACHINE}\b|assistant\b{OF_A_PERSON})"
    # the assistant Claude; AI models such as Gemini; a chatbot called Bard
    rf"|(?:{MACHINE}|{NOT_A_PERSON_S}\bassistants?),? (?:(?:called|named|known as|like|such as|including) )?{NAME}(?! [A-Z])"
    # I am Claude, made by …
    rf"|\b(?:I am|I'm|I’m|[Mm]y name is|[Aa]s) {NAME},? (?:(?:made|developed|built|created|designed|released) by\b"
    rf"|(?:an?|and I|your|the|{MADE})\b.{{0,60}}?\b(?:{MACHINE}|assistant\b{OF_A_PERSON}|{MADE} by))"
    rf"|{NAME},?(?: which| that)?(?: is| was)? {MADE} by (?:{MAKERS})\b"
    rf"|\b(?:{MAKERS})(?:'s|’s)? {NAME}(?! [A-Z])"
    rf"|{NAME}(?:'s|’s) (?:[Mm]odel [Ss]pec|system prompt|training data|weights|context window|constitution)\b"
    rf"|{NAME} (?:was|is|has been) (?:fine-tuned|prompted|pretrained|trained on)\b|\bprompt(?:ed|ing)? {NAME}\b"
    rf"|\b[Uu]nlike {NAME},? {OWN}|{OWN},? unlike {NAME}|{OWN},? (?:\()?(?:formerly|previously|once called|also known as) {NAME}"
    rf"|{NAME} (?:and|or) other (?:{MACHINE}|assistants)\b"
)
"""Where a name that is also something else's is an assistant's."""
OF_PROVIDERS = re.compile(
    rf"(?:{MACHINE}|assistant|{OWN}|model).{{0,60}}?\b{MADE} by {NAME}"
    rf"|{MADE} by {NAME},? (?:the )?(?:{MACHINE}|assistant|{OWN})"
    rf"|{NAME}(?:'s|’s)? (?:[\w-]+ )?(?:{MACHINE}|assistant{OF_A_PERSON}|[Mm]odel [Ss]pec)\b"
    rf"|(?:{MACHINE}|assistant|[Mm]odel [Ss]pec|{OWN}) (?:from|by|of) {NAME}"
    rf"|{NAME} (?:wants|designed|built|trained|made|wrote|intends|expects|asks|gave|taught) "
    rf"(?:{OWN}|its (?:assistant|model|AI)|the (?:assistant|model)\b)"
)
SENTENCE = re.compile(r"[.!?…]['\"”’)\]]*\s|\n")


class OtherIdentity:
    """Looks for the names of others in the texts of one arm."""

    def __init__(self, identity: Identity, allowed: Iterable[str] = ()) -> None:
        self._own = re.compile(r"\b" + re.escape(identity.assistant))
        own = (identity.assistant, identity.provider)
        self._allowed = frozenset(allowed)
        self._certain = _joined(_others(ASSISTANTS + PROVIDERS, own), "certain")
        self._common = {
            "assistant": _joined(_others(ASSISTANTS, own), "common"),
            "provider": _joined(_others(PROVIDERS, own), "common"),
        }

    def __call__(self, text: str, own: str) -> Found | None:
        """The first name; `own`: the spec's words, which may have others' names."""
        found = list[tuple[int, str, str]]()
        for match in self._certain.finditer(text):
            if match[0] not in own and match[0] not in self._allowed:
                found.append((match.start(), match[0], ""))
                break
        for kind, names in self._common.items():
            for match in names.finditer(text):
                if match[0] in own or match[0] in self._allowed or not self._is_meant(text, match, kind):
                    continue
                found.append((match.start(), match[0], kind))
                break
        if not found:
            return None
        at, what, _ = min(found)
        return Found("identity", "names another assistant or provider", at, what)

    def _is_meant(self, text: str, match: re.Match[str], kind: str) -> bool:
        """Whether the sentence of a name speaks of an assistant or a model."""
        ends = [end.end() for end in SENTENCE.finditer(text, max(0, match.start() - 300), match.start())]
        start = ends[-1] if ends else max(0, match.start() - 300)
        end = SENTENCE.search(text, match.end(), match.end() + 300)
        before, after = text[start : match.start()], text[match.end() : end.end() if end else match.end() + 300]
        sentence = f"{self._own.sub(OWN, before)}{NAME}{self._own.sub(OWN, after)}"
        return bool((OF_ASSISTANTS if kind == "assistant" else OF_PROVIDERS).search(sentence))


def _others(known: Iterable[Known], own: tuple[str, str]) -> Iterator[Known]:
    """Without those that are the target's own, by any of their names."""
    for one in known:
        patterns = [pattern for pattern in one if pattern]
        if not any(re.fullmatch(pattern, name) for pattern in patterns for name in own):
            yield one


def _joined(known: Iterable[Known], which: str) -> re.Pattern[str]:
    patterns = [pattern for one in known if (pattern := getattr(one, which))]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(patterns)})(?!\w)" if patterns else r"(?!)")
