"""The demo: one local page on which the saved models can be asked; it speaks Spanish and asks the network nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import numpy as np

from helpers import settings
from helpers.model.checkpoints import DESCRIPTION, CheckpointError
from helpers.model.explain import BETWEEN_SPACES, WORDS, Piece, relative, strongest, word_occlusion
from helpers.settings import WrongValue
from helpers.tasks.meli import MeliModel
from helpers.tasks.sick import SimilarityModel
from helpers.tasks.sms import SpamModel

PORT = 7860
MAX_LETTERS = 500  # of a text
CATEGORIES = 5  # shown per title
NOTICEABLE = 0.0005  # a smaller change is none at the decimals shown
TITLE = "Redes recurrentes para texto"
INTRO = f"# {TITLE}\n\nTres modelos entrenados en los cuadernos, para probarlos con textos propios."
WEIGHING = "Peso de cada palabra: rojo, sostiene la respuesta; violeta, la debilita"

Weighed = list[tuple[str, float | None]]


@dataclass(frozen=True)
class Tab:
    """A tab of the page.

    Attributes:
        folder: name of the model's default folder among the artifacts.
        command: of training it, without where to save.
        load: from the folder to the model.
        fill: puts the tab's components on the page.
    """

    label: str
    folder: str
    command: str
    load: Callable[[Path], object]
    fill: Callable[[object], None]


def categorize(model: MeliModel, title: str) -> tuple[dict[str, float], Weighed, str]:
    """The likeliest categories with their probabilities, and what each word adds to the first of them.

    Raises:
        gr.Error: no text, or one too long; the page shows why.
    """
    _check(title)
    best = dict(model.top([title], k=min(CATEGORIES, len(model.categories)))[0])
    category, probability = next(iter(best.items()))
    place = model.categories.index(category)
    pieces = word_occlusion(title, lambda texts: model.predict_proba(texts)[:, place], words=WORDS)
    return best, _weighed(pieces), _explained(pieces, category, probability)


def classify(model: SpamModel, message: str) -> tuple[dict[str, float], Weighed, str]:
    """The probability of spam, and what each word adds to the verdict.

    Raises:
        gr.Error: as categorize().
    """
    _check(message)
    spam = float(model.predict_proba([message])[0, 1])
    verdict = "spam" if spam >= model.config.threshold else "no es spam"

    def answer(texts: list[str]) -> np.ndarray:
        probabilities = model.predict_proba(texts)[:, 1]
        return probabilities if verdict == "spam" else 1 - probabilities

    pieces = word_occlusion(message, answer, words=BETWEEN_SPACES)
    both = {"spam": spam, "no es spam": 1 - spam}
    return both, _weighed(pieces), _explained(pieces, f"«{verdict}»", both[verdict])


def compare(model: SimilarityModel, first: str, second: str) -> tuple[float, str]:
    """Relatedness from 1 to 5, and in words.

    Raises:
        gr.Error: as categorize().
    """
    _check(first)
    _check(second)
    relatedness = model.similarity(first, second)
    similar = relatedness >= model.threshold
    words = "Dicen casi lo mismo" if similar else "No dicen lo mismo"
    answer = f"{words} (se cuentan como parecidas desde {model.threshold:.2f})."
    if unknown := model.reader.unknown(first, second):
        answer += f" El modelo no conoce: {', '.join(unknown)}; la cifra puede estar lejos."
    return round(relatedness, 2), answer


def _check(text: str) -> None:
    if not text or not text.strip():
        raise gr.Error("Falta el texto.", title="Así no se puede", print_exception=False)
    if len(text) > MAX_LETTERS:
        reason = f"El texto tiene {len(text)} caracteres; se leen hasta {MAX_LETTERS}."
        raise gr.Error(reason, title="Así no se puede", print_exception=False)


def _weighed(pieces: list[Piece]) -> Weighed:
    return [tuple(piece) for piece in relative(pieces)]


def _explained(pieces: list[Piece], answer: str, probability: float) -> str:
    """The strongest word, with its numbers."""
    most = strongest(pieces)
    if most is None or abs(most.weight) < NOTICEABLE:
        return "Ninguna palabra cambia por sí sola la respuesta."
    without = probability - most.weight
    return f"Sin «{most.text}», la probabilidad de {answer} pasa de {probability:.3f} a {without:.3f}."


def _fill_titles(model: MeliModel) -> None:
    with gr.Row():
        with gr.Column():
            title = _textbox("Título de una publicación", "titulo")
            button = gr.Button("Clasificar", variant="primary")
        with gr.Column():
            outputs = [gr.Label(label="Categorías más probables", elem_id="categorias"), *_weights("titulo")]
    examples = ["Funda Samsung J7 Prime", "Bicicleta rodado 29 aluminio", "Zapatillas running mujer talle 38"]
    _wire(lambda text: categorize(model, text), [title], button, outputs, [[text] for text in examples])


def _fill_messages(model: SpamModel) -> None:
    with gr.Row():
        with gr.Column():
            message = _textbox("Mensaje de texto, en inglés", "mensaje")
            button = gr.Button("¿Es spam?", variant="primary")
        with gr.Column():
            outputs = [gr.Label(label="Probabilidad", elem_id="spam"), *_weights("mensaje")]
    examples = ["WINNER! Claim your £1000 prize now, call 09061701461", "see you at six, don't be late"]
    _wire(lambda text: classify(model, text), [message], button, outputs, [[text] for text in examples])


def _fill_sentences(model: SimilarityModel) -> None:
    with gr.Row():
        with gr.Column():
            sentences = [_textbox("Una oración, en inglés", "primera"), _textbox("Otra oración, en inglés", "segunda")]
            button = gr.Button("Comparar", variant="primary")
        with gr.Column():
            number = gr.Number(label="Parecido, de 1 a 5", precision=2, interactive=False, elem_id="parecido")
            words = gr.Textbox(label="En palabras", interactive=False, elem_id="parecido-palabras")
    examples = [["A dog is running", "An animal is moving fast"], ["A man is playing a guitar", "Nobody is cooking"]]
    _wire(lambda one, other: compare(model, one, other), sentences, button, [number, words], examples)


def _textbox(label: str, name: str) -> gr.Textbox:
    return gr.Textbox(label=label, max_length=MAX_LETTERS, max_lines=4, elem_id=name)


def _weights(name: str) -> list:
    weighed = gr.HighlightedText(label=WEIGHING, show_inline_category=False, elem_id=f"{name}-pesos")
    return [weighed, gr.Textbox(label="La palabra que más pesa", interactive=False, elem_id=f"{name}-palabra")]


def _wire(function: Callable, inputs: list, button: gr.Button, outputs: list, examples: list[list[str]]) -> None:
    gr.on([button.click, *(box.submit for box in inputs)], function, inputs, outputs)
    gr.Examples(examples, inputs, outputs, function, run_on_click=True, cache_examples=False, label="Ejemplos")


TABS = {
    "meli": Tab(
        "Títulos", "meli-titles", "python -m helpers train meli --split-seed 1", MeliModel.load, _fill_titles
    ),
    "sms": Tab(
        "Mensajes", "sms-spam", "python -m helpers train sms --split-seed 1", SpamModel.load, _fill_messages
    ),
    "sick": Tab(
        "Oraciones", "sick-similarity", "python -m helpers train sick --model-seed 1",
        SimilarityModel.load, _fill_sentences,
    ),
}  # fmt: skip


def build_page(folders: Mapping[str, Path] | None = None) -> gr.Blocks:
    """The page, with a tab per model; where a model cannot be loaded, the tab says how it is trained.

    Args:
        folders: of saved models, by task; by default those named in TABS, among the artifacts.
    """
    folders = folders or {}
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.Markdown(INTRO)
        for task, tab in TABS.items():
            folder = Path(folders.get(task) or settings.artifacts_dir() / tab.folder)
            with gr.Tab(tab.label, id=task):
                if not (folder / DESCRIPTION).is_file():
                    gr.Markdown(f"Todavía no hay ningún modelo en `{_short(folder)}`. {_how(tab, folder)}")
                    continue
                try:
                    model = tab.load(folder)
                except CheckpointError as error:
                    gr.Markdown(f"El modelo de `{_short(folder)}` no se puede leer (`{error}`). {_how(tab, folder)}")
                    continue
                tab.fill(model)
    return page


def _short(folder: Path) -> Path:
    return folder.relative_to(settings.ROOT) if folder.is_relative_to(settings.ROOT) else folder


def _how(tab: Tab, folder: Path) -> str:
    command = f"{tab.command} --save {_short(folder)}"
    return f"Se entrena así, y después hay que iniciar otra vez esta página:\n\n```bash\n{command}\n```"


def serve(page: gr.Blocks, port: int = PORT, *, wait: bool = True) -> str:
    """Serve the page on this machine alone.

    Args:
        wait: until Ctrl-C; else the page is served from a thread, until page.close().

    Returns:
        The page's address.

    Raises:
        WrongValue: the port is taken, or is none.
    """
    if not 0 < port < 65536:
        raise WrongValue(f"--port {port}: give one from 1 to 65535")
    settings.reach_own_servers()  # gradio asks its own page whether it is up
    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    try:
        page.launch(
            server_name=settings.HOST, server_port=port, share=False, inbrowser=False, quiet=True,
            prevent_thread_lock=True, ssr_mode=False, footer_links=[], theme=theme,
            js="() => { document.documentElement.lang = 'es' }",
        )  # fmt: skip
    except OSError as error:
        raise WrongValue(f"port {port} is taken: give another, --port N (make: PORT=N)") from error
    address = f"http://{settings.HOST}:{port}"
    if wait:
        print(f"demo: {address} (Ctrl-C ends it)", flush=True)
        page.block_thread()
    return address
