"""Scenes, their sentences, and the changes that make a second sentence related to the first by a known degree."""

from dataclasses import dataclass, replace

from numpy.random import Generator

from sampling.common import pick
from sampling.scene_words import (
    ACTIONS,
    ADJECTIVE_SYNONYMS,
    ADJECTIVES,
    AGENTS,
    OBJECT_SYNONYMS,
    OPPOSITE_ADJECTIVES,
    PLACES,
    Action,
    Agent,
)


@dataclass(frozen=True)
class Scene:
    """Who does what to what, where; and how it is said."""

    agent: Agent
    adjective: str
    action: Action
    object: str
    place: str
    voice: str = "active"  # active, passive
    negation: str = ""  # "", not, none
    article: str = ""  # of the agent; "" for a or an
    forms: tuple[str, str] | None = None  # in the place of the action's own


def a(words: str) -> str:
    """With an indefinite article."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def sentence(scene: Scene) -> str:
    """The scene in words, without final full stop."""
    gerund, participle = scene.forms or scene.action.forms
    agent = " ".join(word for word in (scene.adjective, scene.agent.noun) if word)
    who = f"{scene.article} {agent}" if scene.article else a(agent)
    what, place = a(scene.object), f" {scene.place}" if scene.place else ""
    if scene.negation == "none":
        text = f"there is no {agent} {gerund} {what}{place}"
    elif scene.voice == "passive":
        text = f"{what} is {'not ' if scene.negation else ''}being {participle} by {who}{place}"
    else:
        text = f"{who} is {'not ' if scene.negation else ''}{gerund} {what}{place}"
    return text[0].upper() + text[1:]


def random_scene(rng: Generator, topic: str | None = None) -> Scene:
    """A scene of one topic; actors of the topic are preferred to people found anywhere."""
    topic = topic or pick(rng, list(PLACES))
    action = pick(rng, [action for action in ACTIONS if action.topic == topic])
    return Scene(
        random_agent(rng, action), pick(rng, ADJECTIVES), action, pick(rng, action.objects), pick(rng, PLACES[topic])
    )


def random_agent(rng: Generator, action: Action, but: Agent | None = None) -> Agent:
    """Someone who may do this, other than `but`; animals chase and watch and do nothing else."""
    human = action.forms[0] not in ("chasing", "watching")
    able = [agent for agent in AGENTS if agent != but and not (human and agent.kind == "animal")]
    own = [agent for agent in able if action.topic in agent.topics]
    return pick(
        rng, own if own and rng.random() < 0.5 else [agent for agent in able if not agent.topics or agent in own]
    )


def synonym(scene: Scene, rng: Generator) -> Scene | None:
    """One word said another way."""
    options = []
    if scene.action.synonym:
        options.append(replace(scene, forms=scene.action.synonym))
    if scene.object in OBJECT_SYNONYMS:
        options.append(replace(scene, object=OBJECT_SYNONYMS[scene.object]))
    if scene.agent.synonym:
        options.append(replace(scene, agent=scene.agent._replace(noun=scene.agent.synonym)))
    if scene.adjective in ADJECTIVE_SYNONYMS:
        options.append(replace(scene, adjective=ADJECTIVE_SYNONYMS[scene.adjective]))
    return pick(rng, options) if options else None


def two_synonyms(scene: Scene, rng: Generator) -> Scene | None:
    """Synonyms, and the passive."""
    changed = synonym(scene, rng)
    return changed and replace(changed, voice="passive")


def passive(scene: Scene, rng: Generator) -> Scene:
    """The same, in the passive."""
    return replace(scene, voice="passive")


def definite(scene: Scene, rng: Generator) -> Scene:
    """The same, of somebody known."""
    return replace(scene, article="the")


def broader(scene: Scene, rng: Generator) -> Scene:
    """Less said: no place, no adjective, or the kind of the agent."""
    return pick(
        rng,
        [
            replace(scene, place=""),
            replace(scene, adjective=""),
            replace(scene, agent=scene.agent._replace(noun=scene.agent.kind), adjective=""),
        ],
    )


def negated(scene: Scene, rng: Generator) -> Scene:
    """The contrary, by not or by no."""
    return replace(scene, negation=pick(rng, ["not", "none"]))


def opposite(scene: Scene, rng: Generator) -> Scene | None:
    """The contrary action."""
    return replace(scene, forms=scene.action.opposite) if scene.action.opposite else None


def opposite_agent(scene: Scene, rng: Generator) -> Scene | None:
    """Somebody of the contrary quality."""
    other = OPPOSITE_ADJECTIVES.get(scene.adjective)
    return replace(scene, adjective=other) if other else None


def swapped(scene: Scene, rng: Generator) -> Scene | None:
    """Agent and object change places, where the object can act."""
    able = {agent.noun: agent for agent in AGENTS if agent.kind == "animal"}
    if scene.object not in able or scene.object == scene.agent.noun:
        return None
    return replace(scene, agent=able[scene.object], object=scene.agent.noun)


def other_object(scene: Scene, rng: Generator) -> Scene:
    """The same done to another thing."""
    return replace(scene, object=pick(rng, [thing for thing in scene.action.objects if thing != scene.object]))


def other_agent(scene: Scene, rng: Generator) -> Scene:
    """The same done by somebody else, somewhere else."""
    return replace(
        scene,
        agent=random_agent(rng, scene.action, but=scene.agent),
        adjective=pick(rng, ADJECTIVES),
        place=pick(rng, PLACES[scene.action.topic]),
    )


def other_action(scene: Scene, rng: Generator) -> Scene:
    """The same agent does another thing of the same topic."""
    other = random_scene(rng, scene.action.topic)
    while other.action == scene.action or other.agent.kind != scene.agent.kind:
        other = random_scene(rng, scene.action.topic)
    return replace(other, agent=scene.agent, adjective=scene.adjective)


def same_topic(scene: Scene, rng: Generator) -> Scene:
    """Somebody else does another thing of the same topic."""
    other = random_scene(rng, scene.action.topic)
    while other.action == scene.action or other.agent == scene.agent:
        other = random_scene(rng, scene.action.topic)
    return other


def unrelated(scene: Scene, rng: Generator) -> Scene:
    """Another topic and another agent, now and then negated."""
    other = random_scene(rng, pick(rng, [topic for topic in PLACES if topic != scene.action.topic]))
    while other.agent == scene.agent:
        other = random_scene(rng, other.action.topic)
    return replace(other, negation=pick(rng, ["", "", "", "none"]))
