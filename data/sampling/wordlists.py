"""Synonyms and antonyms of the words that the sentence pairs use."""

from sampling.scene_words import ACTIONS, ADJECTIVE_SYNONYMS, ADJECTIVES, AGENTS, OBJECT_SYNONYMS, OPPOSITE_ADJECTIVES

HEADER = ["word", "pos", "synonyms", "antonyms"]
EXTRA_ANTONYMS = {
    ("boy", "n"): "girl",
    ("man", "n"): "woman",
    ("crowded", "a"): "empty",
    ("dark", "a"): "bright",
    ("muddy", "a"): "clean",
    ("calm", "a"): "stormy",
    ("busy", "a"): "idle",
    ("hot", "a"): "cold",
    ("behind", "r"): "ahead",
}


def synonym_lines() -> list[str]:
    """Tab-separated table with header: word, part of speech (n, v, a, r), synonyms, antonyms (comma-separated)."""
    synonyms: dict[tuple[str, str], list[str]] = {}
    antonyms: dict[tuple[str, str], list[str]] = {}

    def link(table: dict, first: str, second: str, pos: str) -> None:
        for word, other in ((first, second), (second, first)):
            if other not in table.setdefault((word, pos), []):
                table[word, pos].append(other)

    for action in ACTIONS:
        for index, form in enumerate(action.forms):
            if action.synonym:
                link(synonyms, form, action.synonym[index], "v")
            if action.opposite:
                link(antonyms, form, action.opposite[index], "v")
    for word, other in [*OBJECT_SYNONYMS.items(), *((agent.noun, agent.synonym) for agent in AGENTS if agent.synonym)]:
        link(synonyms, word, other, "n")
    for word, other in ADJECTIVE_SYNONYMS.items():
        link(synonyms, word, other, "a")
    for word, other in OPPOSITE_ADJECTIVES.items():
        link(antonyms, word, other, "a")
    for (word, pos), other in EXTRA_ANTONYMS.items():
        link(antonyms, word, other, pos)
    keys = sorted({*synonyms, *antonyms, *((adjective, "a") for adjective in ADJECTIVES)})
    rows = [
        [word, pos, ",".join(synonyms.get((word, pos), [])), ",".join(antonyms.get((word, pos), []))]
        for word, pos in keys
    ]
    return ["\t".join(row) for row in [HEADER, *rows]]
