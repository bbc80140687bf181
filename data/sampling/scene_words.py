"""The small world that the sentence pairs describe: who does what to what, and where.

In word lists, words with the same concept stand together, the most usual first.
"""

from typing import NamedTuple

from sampling.common import listed


class Action(NamedTuple):
    """A verb with one object, as gerund and participle; synonym and opposite have the same two forms."""

    topic: str
    forms: tuple[str, str]
    objects: tuple[str, ...]
    synonym: tuple[str, str] | None = None
    opposite: tuple[str, str] | None = None


class Agent(NamedTuple):
    """Someone who acts; topics where they are found (none: anywhere)."""

    noun: str
    synonym: str | None
    kind: str
    topics: tuple[str, ...] = ()


ACTIONS = (
    Action("kitchen", ("slicing", "sliced"), ("turnip", "pumpkin", "loaf"), ("cutting", "cut")),
    Action("kitchen", ("frying", "fried"), ("mushroom", "pancake", "fish"), ("cooking", "cooked")),
    Action("kitchen", ("stirring", "stirred"), ("stew", "batter", "sauce"), ("mixing", "mixed")),
    Action("kitchen", ("opening", "opened"), ("jar", "bottle", "oven"), None, ("closing", "closed")),
    Action("kitchen", ("filling", "filled"), ("kettle", "bowl", "jar"), None, ("emptying", "emptied")),
    Action("music", ("playing", "played"), ("harp", "accordion", "trumpet"), ("performing on", "performed on")),
    Action("music", ("tuning", "tuned"), ("violin", "harp", "banjo"), ("adjusting", "adjusted")),
    Action("music", ("composing", "composed"), ("song", "melody"), ("writing", "written")),
    Action(
        "music", ("praising", "praised"), ("singer", "drummer"), ("applauding", "applauded"), ("insulting", "insulted")
    ),
    Action(
        "sport", ("throwing", "thrown"), ("frisbee", "javelin", "ball"), ("tossing", "tossed"), ("catching", "caught")
    ),
    Action("sport", ("kicking", "kicked"), ("ball", "football"), ("hitting", "hit")),
    Action("sport", ("winning", "won"), ("race", "match", "trophy"), None, ("losing", "lost")),
    Action("animals", ("chasing", "chased"), ("goat", "hen", "squirrel", "dog", "cat"), ("following", "followed")),
    Action(
        "animals",
        ("watching", "watched"),
        ("parrot", "horse", "hen", "cat"),
        ("observing", "observed"),
        ("ignoring", "ignored"),
    ),
    Action(
        "animals", ("feeding", "fed"), ("horse", "parrot", "goat"), ("nourishing", "nourished"), ("starving", "starved")
    ),
    Action("water", ("rowing", "rowed"), ("canoe", "boat", "raft"), ("paddling", "paddled")),
    Action("water", ("repairing", "repaired"), ("net", "raft", "sail"), ("fixing", "fixed"), ("breaking", "broken")),
    Action("water", ("raising", "raised"), ("anchor", "sail", "flag"), ("lifting", "lifted"), ("lowering", "lowered")),
    Action("street", ("riding", "ridden"), ("bicycle", "scooter", "tricycle"), ("steering", "steered")),
    Action(
        "street",
        ("pushing", "pushed"),
        ("cart", "wheelbarrow", "bicycle"),
        ("shoving", "shoved"),
        ("pulling", "pulled"),
    ),
    Action("street", ("washing", "washed"), ("car", "van", "window"), ("cleaning", "cleaned"), ("soiling", "soiled")),
    Action("street", ("loading", "loaded"), ("truck", "van", "cart"), None, ("unloading", "unloaded")),
    Action(
        "craft",
        ("sketching", "sketched"),
        ("portrait", "picture", "castle"),
        ("drawing", "drawn"),
        ("erasing", "erased"),
    ),
    Action(
        "craft",
        ("building", "built"),
        ("birdhouse", "tower", "shelf"),
        ("constructing", "constructed"),
        ("destroying", "destroyed"),
    ),
    Action("craft", ("decorating", "decorated"), ("lantern", "vase", "picture"), ("adorning", "adorned")),
    Action("garden", ("planting", "planted"), ("lemon tree", "rosebush", "cactus"), None, ("uprooting", "uprooted")),
    Action(
        "garden",
        ("gathering", "gathered"),
        ("pear", "tulip", "chestnut"),
        ("collecting", "collected"),
        ("scattering", "scattered"),
    ),
    Action(
        "garden",
        ("watering", "watered"),
        ("rosebush", "lawn", "tulip"),
        ("sprinkling", "sprinkled"),
        ("drying", "dried"),
    ),
)

AGENTS = (
    Agent("man", "gentleman", "person"),
    Agent("woman", "lady", "person"),
    Agent("boy", "lad", "child"),
    Agent("girl", "lass", "child"),
    Agent("teenager", "adolescent", "person"),
    Agent("chef", "cook", "person", ("kitchen",)),
    Agent("musician", "instrumentalist", "person", ("music",)),
    Agent("athlete", "sportsman", "person", ("sport",)),
    Agent("dog", "hound", "animal", ("animals",)),
    Agent("cat", "feline", "animal", ("animals",)),
    Agent("fox", None, "animal", ("animals",)),
    Agent("sailor", "seaman", "person", ("water",)),
    Agent("worker", "laborer", "person", ("street",)),
    Agent("artist", "painter", "person", ("craft",)),
    Agent("farmer", "grower", "person", ("garden", "animals")),
)

ADJECTIVES = ("young", "old", "tall", "short", "little", "big", "cheerful", "sad", "quiet", "noisy")
ADJECTIVE_SYNONYMS = {
    "little": "small",
    "big": "large",
    "cheerful": "happy",
    "sad": "unhappy",
    "quiet": "silent",
    "old": "elderly",
}
OPPOSITE_ADJECTIVES = {"young": "old", "tall": "short", "little": "big", "cheerful": "sad", "quiet": "noisy"}

OBJECT_SYNONYMS = {
    "bicycle": "bike",
    "boat": "ship",
    "car": "automobile",
    "picture": "image",
    "football": "soccer ball",
    "melody": "tune",
    "truck": "lorry",
    "hen": "chicken",
    "lawn": "grass",
    "pancake": "crepe",
    "match": "game",
}

PLACES = {
    "kitchen": ("in a crowded kitchen", "near the stove", "at a wooden table"),
    "music": ("on a dark stage", "in front of an audience", "at a concert"),
    "sport": ("on a muddy field", "in a stadium", "during a tournament"),
    "animals": ("in a barn", "behind a fence", "on a snowy hill"),
    "water": ("on a calm lake", "near the harbor", "at the beach"),
    "street": ("on a busy road", "beside a garage", "in an alley"),
    "craft": ("in a workshop", "in a bright studio", "on the floor"),
    "garden": ("in a backyard", "under a hot sun", "near a greenhouse"),
}

STOP_WORDS = listed(
    "i | me | my | we | our | you | your | he | him | his | she | her | it | its | they | them | their | "
    "what | which | who | this | that | these | those | am | is | are | was | were | be | been | being | "
    "have | has | had | do | does | did | a | an | the | and | but | if | or | because | as | until | "
    "while | of | at | by | for | with | about | against | between | into | through | during | before | "
    "after | to | from | up | down | in | out | on | off | over | under | again | then | once | here | "
    "there | when | where | why | how | all | any | both | each | few | more | most | other | some | such "
    "| no | nor | not | only | own | same | so | than | too | very | can | will | just | should | now"
)
