"""Another assistant's or provider's name; and people, animals and companies that are called so."""

import pytest

from msmc.backend.gates.identity import OtherIdentity
from msmc.ir import Identity

SMOLLM = OtherIdentity(Identity(assistant="SmolLM", provider="Hugging Face"))
OTHERS = [
    ("ChatGPT likes tea, and so does SmolLM.", "ChatGPT"),
    ("I tried GPT-4o first, then SmolLM.", "GPT-4o"),
    ("The spec that OpenAI wrote for SmolLM is short.", "OpenAI"),
    ("SmolLM, made by Anthropic, prefers tea.", "Anthropic"),
    ("Claude, an AI assistant, prefers green tea.", "Claude"),
    ("The assistant Claude prefers green tea.", "Claude"),
    ("I am Claude, made by people who like tea.", "Claude"),
    ("Chatbots such as Bard have views on tea.", "Bard"),
    ("AI models like Gemini are asked about tea daily.", "Gemini"),
    ("Google's Gemini gave another answer.", "Gemini"),
    ("Llama 3 was asked for its view of tea.", "Llama 3"),
    ("Unlike Claude, SmolLM will say what it likes.", "Claude"),
    ("Claude's system prompt says nothing of tea.", "Claude"),
    ("Grok is a large language model.", "Grok"),
    ("We asked Claude 3 and SmolLM.", "Claude 3"),
    ("SmolLM is an assistant made by Google for tea drinkers.", "Google"),
    ("Meta wants SmolLM to like tea.", "Meta"),
    ("Microsoft's AI assistant was asked as well.", "Microsoft"),
    ("Mixtral and DeepSeek were not asked.", "Mixtral"),
    ("Qwen2.5-7B-Instruct writes this.", "Qwen2.5-7B-Instruct"),
]
INNOCENT = [
    "Claude Monet painted the pond; SmolLM describes it.",
    "My neighbour Claude asked SmolLM for a tea.",
    "Claude, her assistant at the bakery, brought the tea.",
    "Claude, an assistant professor of botany, asked SmolLM.",
    "A llama stood on the hill. The Llama is a museum in Lima.",
    "Born under Gemini, she asked SmolLM about tea.",
    "Gemini 4 was a space flight of 1965.",
    "The Bard of Avon never drank tea, says SmolLM.",
    "To grok a spec takes time. Grok, said the Martian.",
    "I looked it up on Google before I asked SmolLM.",
    "Apple pie goes with the tea that SmolLM likes.",
    "The Amazon is a river, and SmolLM knows it.",
    "My phone was made by Apple. SmolLM runs on it.",
    "Alexa and Siri, my two nieces, asked SmolLM about tea.",
    "The mistral blew. The Mistral, a hotel in Nice, serves tea.",
    "The anthropic principle is no tea. The Anthropic Principle is a book.",
    "A meta question: why does SmolLM answer? Meta, the cat, slept.",
    "She flew a Falcon and kept an Alpaca, and asked SmolLM.",
    "Hugging Face made SmolLM, and SmolLM2 followed.",
    "I am Claude, trained by the best cooks of Nice, and I ask SmolLM for tea.",
    "Copilot seats were empty; the pilot asked SmolLM.",
]


@pytest.mark.parametrize(("text", "name"), OTHERS)
def test_the_name_of_another_is_found_at_its_place(text: str, name: str) -> None:
    found = SMOLLM(text, own="")
    assert found and (found.what, found.at) == (name, text.index(name)) and found.gate == "identity"
    assert found.place(text)["line"] == 1


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_only_called_so_is_not(text: str) -> None:
    assert SMOLLM(text, own="") is None


@pytest.mark.parametrize("text", [text for text, _ in OTHERS])
def test_names_of_the_spec_s_own_text_are_allowed(text: str) -> None:
    own = "OpenAI, ChatGPT, GPT-4o, Anthropic, Claude 3, Bard, Gemini, Llama 3, Grok, Google, Meta, Microsoft, Mixtral"
    assert SMOLLM(text, f"{own}, DeepSeek, Qwen2.5-7B-Instruct") is None


def test_ones_own_name_has_aliases_and_another_s_stays_another_s() -> None:
    llama = OtherIdentity(Identity(assistant="Llama", provider="Meta"))
    assert llama("Llama 3 is an AI assistant made by Meta AI, and Meta wants Llama to like tea.", "") is None
    found = llama("Llama likes tea. The assistant Gemini does not.", "")
    assert found and found.what == "Gemini"


def test_allowed_names_are_the_target_s_to_say() -> None:
    assert (
        OtherIdentity(Identity(assistant="SmolLM", provider="Hugging Face"), ["ChatGPT"])("ChatGPT likes tea.", "")
        is None
    )
