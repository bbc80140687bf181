"""The catalogue: every external file the project reads, where it comes from and how it is known to be right.

Hashes are of the file itself; where the address serves an archive, of the member. Excerpts (`excerpt_of`) are cut or
pasted from whole archives: no official address serves their bytes, `python -m helpers data cut NAME` makes them.

Single members out of zip and tar archives, never by a path that the archive chooses.

One address to one file: time-outs, few retries, and hosts that did not answer are not asked again.

Is this file what the catalogue says? SHA-256 against the known hash, or against the one of the first download.

obtain(name): from a name in the catalogue to a verified file in the cache.

Tried in order: the cache, the mirror (a folder or an address), the official addresses. Whatever comes is verified by
SHA-256 before it lands, by an atomic rename; what cannot be had ends in one SourceError that says what to do.
"""

import bz2
import gzip
import lzma
import os
import shutil
import stat
import struct
import sys
import tarfile
import tempfile
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO
from urllib.parse import quote, urlsplit

import pooch
import requests
from tqdm import tqdm
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError

from helpers import settings


@dataclass(frozen=True)
class Source:
    """One external file.

    Args:
        name: what obtain() is asked for.
        path: where it lies in the cache and in a mirror.
        size: bytes, approximately where no copy is known.
        licence: as its publisher states it.
        urls: official addresses, tried in this order.
        member: file inside the archive that the addresses serve, whatever folder it stands in; None: no archive.
        sha256: None where none is public: the first download's is then written down and held.
        md5: known for a first download where no sha256 is.
        rows: data rows, header not counted; vectors: words.
        required: a notebook cannot run on real data without it.
        big: more than 50 MB to download; only fetched when asked for.
        excerpt_of: names of the whole archives this file is cut from.
        instead_of: name of the source that holds the same in another format; fetched where that one cannot be had.
        read_with: where of one of these groups nothing can be had, profile quick takes the sample of this one too.
        note: what else a user should know.
    """

    name: str
    path: str
    size: int
    licence: str
    urls: tuple[str, ...] = ()
    member: str | None = None
    sha256: str | None = None
    md5: str | None = None
    rows: int | None = None
    required: bool = False
    big: bool = False
    excerpt_of: tuple[str, ...] = ()
    instead_of: str | None = None
    read_with: tuple[tuple[str, ...], ...] = ()
    note: str = ""


MELI_COURSE = "https://cs.famaf.unc.edu.ar/~ccardellino/resources/diplodatos/meli-challenge-2019.tar.bz2"
MELI_TEST = "https://raw.githubusercontent.com/DiploDatos/AprendizajeProfundo/ecae105b53f83f3aac21bc81fd7885732bc611af/spanish.test.jsonl.gz"
SMS_ZIPS = (
    "https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",
    "https://archive.ics.uci.edu/ml/machine-learning-databases/00228/smsspamcollection.zip",
)
SICK_HOME = "http://alt.qcri.org/semeval2014/task1/data/uploads"
STS_IMAGES = ("http://ixa2.si.ehu.eus/stswiki/images", "http://ixa2.si.ehu.es/stswiki/images")
NLTK_PACKAGES = "https://raw.githubusercontent.com/nltk/nltk_data/005569f5d91002697c5dfd5bced624209af0b3bb/packages"
WORDNET_ZIP = f"{NLTK_PACKAGES}/corpora/wordnet.zip"
WORDNET_TAR = "https://wordnetcode.princeton.edu/3.0/WNdb-3.0.tar.gz"
STANFORD = "https://nlp.stanford.edu/data"
STANFORD_HUB = "https://huggingface.co/stanfordnlp/glove/resolve/main"
SBW_HOME = "https://cs.famaf.unc.edu.ar/~ccardellino"
GENSIM_DATA = "https://github.com/piskvorky/gensim-data/releases/download"

SICK_VECTORS = ("glove-840b", "glove-840b-sick")
CC_BY, CC_BY_NC_SA = "CC BY 4.0", "CC BY-NC-SA 3.0"
STS_LICENCE = "scores CC BY-SA 4.0, texts mixed"
WORDNET_LICENCE = "WordNet 3.0 licence"
NOT_STATED = "not stated"

SEMEVAL_ARCHIVES = (  # name, path on the STS wiki, bytes
    ("2012-train", "e/e4/STS2012-en-train.zip", 300_000),
    ("2012-test", "4/40/STS2012-en-test.zip", 400_000),
    ("2013-test", "2/2f/STS2013-en-test.zip", 200_000),
    ("2014-test", "8/8c/STS2014-en-test.zip", 300_000),
    ("2015-test", "d/da/STS2015-en-test.zip", 700_000),
)
SEMEVAL_SETS = (  # year.set.part, rows, bytes, sha256
    ("2012.MSRpar.test", 750, 168264, "0152db6de47cb0c309482425118281b8afad65a066ad961c96930d511d62dba1"),
    ("2012.MSRpar.train", 750, 171254, "a07f29d9f11600bda8f8a188678727f664323272ee19ad708a4eecfa12c81a6c"),
    ("2012.OnWN.test", 750, 71873, "8148c4aea8e70e39c033e16cc0765735669aba0f5de053ac0061f2cf47cf366f"),
    ("2012.SMTeuroparl.test", 459, 62276, "b70cbc8262db9fe178341a2e427d713be2fb440b1cccc1736cd0e66f0ac8ff59"),
    ("2012.SMTeuroparl.train", 734, 243497, "6283f9598b238898c66abc111eed7101cec5f17b592c00c7e607fef994349a54"),
    ("2012.SMTnews.test", 399, 61072, "7745b5a11faab3098eacd8ba7ea4530f932d1ee5f82e10d6d1f1b8b03cd8868b"),
    ("2013.FNWN.test", 189, 46412, "ac1fcaf6042fc7f8984b0d6145b5a4028da10c9adc55754ea1ad64d6dd3f6633"),
    ("2013.OnWN.test", 561, 49248, "66aeefda9084f544e2d54e51026d2952e2cb05bd9b5fcf4c6d4efe57dfa3e4fc"),
    ("2013.headlines.test", 750, 71836, "9b40330c1b70017b62a48404bf050211f5cfd990e249fc1b8146163bdcb9924a"),
    ("2014.OnWN.test", 750, 70871, "072ffe5052223b45018a588c3f06d48a3b16bf7a7ea7e9f235fce89342ec8f3f"),
    ("2014.deft-forum.test", 450, 43999, "1bdea70a0f1b44b7697ede61b80a9a566fad928150567a8a46235104847ef484"),
    ("2014.deft-news.test", 300, 63746, "faf2fc618e57f4acac25a7cdb16b131a2055ed4fcead3cf475e411b0482dc51d"),
    ("2014.headlines.test", 750, 74159, "85e98e7c2ed1e95e2a0d1d4047f50497f3a2ca196c0004afa416320f73d46efd"),
    ("2014.images.test", 750, 72028, "c17677ae0fdd667330b8b41585666d2181d1f4b20013cfdd81f5d0f2811b9165"),
    ("2014.tweet-news.test", 750, 94757, "be2ee005c28f3c4359cef6d35323ef5ce32443a85a6bad21cdb30f320054db37"),
    ("2015.answers-forums.test", 2000, 351034, "896cd9f26fad335775688ee9829910bb2e7240fb44d89b2e1cc467a73239f65d"),
    ("2015.answers-students.test", 1500, 166143, "e3bd0696f2ff514276ddcc830655b84d7d5e48868f71aa3009d6c5ff90756cee"),
    ("2015.belief.test", 2000, 284734, "29cc4918023aabd33a270f475914885fa7dd24c9811279d9e0face14f973a7e4"),
    ("2015.headlines.test", 1500, 150011, "d45bf6e97f44afc817b39c1e51492cfadce163b0076611f7c85472c8e05271d1"),
    ("2015.images.test", 1500, 148521, "820fe1c8cfb1349ba7d7bca3bf1ed38776d9d0d1b193124a8666e3a5f440c5a9"),
)
WORDNET_FILES = (  # file, bytes, sha256
    ("LICENSE", 1682, "7f8fe0d4b47d1cbb7caa2bbe0afc0933492ba983da0e64764ccee607f45f7e17"),
    ("adj.exc", 23019, "8824cc24bbedd797b9702316b27f07cd4c2b76b629539f0a1276f03926758016"),
    ("adv.exc", 85, "e7291461b629abfe63301bbe1998cee09fd575ed7107abd7ea9763adb05bf0a8"),
    ("cntlist.rev", 911244, "a198580b8f705fa02797bba8b13e5cbe4a9f9f40cb1697e774c7fc6a5865b035"),
    ("data.adj", 3155427, "c89120dfc1f046ddff4a631bf9b7e9fa1a36b5e86565a23bf82dbe14f30b88a7"),
    ("data.adv", 516696, "444a63bf3955080ab7524f5079cfc07ff9bc682cb98bdb1db73b0fb9829f1139"),
    ("data.noun", 15300280, "fea17d2f9656611334eac790e5d69e47645fa180c4aa481fb4cd9b3520754ca2"),
    ("data.verb", 2772517, "adcf43e35b581e8036d8b5a52d63d9cd3d3b4870b2720d3c03c799df44777bc2"),
    ("index.adj", 824127, "c9865d7b4d1f805bdef82ccdcea5282436e23083e6f6f1b33e716327c4eda810"),
    ("index.adv", 162816, "6f5465ed5758fe9c8a2f7ec17b1300f3aa875756c70ff7cba162f7e71bcf88ea"),
    ("index.noun", 4786655, "a490d99d93d017bf4822fe2f0ffa51fd73911ce271dc7535fade21f8814b5a04"),
    ("index.sense", 7294992, "e8f129a924b7aef6187d4f5f846f7ed985841a4a2d4c3fe4817e5db501066f36"),
    ("index.verb", 523980, "e2ac24816c3a8289dcb72aaa9cf8db81fdf25ec34d792bfc96ac5b7a20c8b4ae"),
    ("lexnames", 800, "c871b6797d2109f563f7a162b64e8ebf18f6f42d00918572846034c7f393a214"),
    ("noun.exc", 38301, "2b5d675c380b39ecf595af9fa9d4e7feb1d58c643b0bff08c40ed5bfe41fab7a"),
    ("verb.exc", 38033, "dbbcf9a601b2d77e934e413b91d90e88ec7f933a8b77cfc00602a923b891b42c"),
)
WORDNET_REBUILT = ("LICENSE", "index.sense", "lexnames")


def _meli() -> list[Source]:
    def course(part: str, rows: int, size: int) -> Source:
        file = f"spanish.{part}.jsonl.gz"
        return Source(
            f"meli-{part}", f"meli/{file}", size, NOT_STATED, (MELI_COURSE,), member=file, rows=rows, big=True
        )  # fmt: skip

    return [
        Source(
            "meli-test", "meli/spanish.test.jsonl.gz", 2_685_138, NOT_STATED, (MELI_TEST,), rows=63_680, required=True,
            sha256="452736c4cdad667b54da7a28f38b2e3d29bed4bb2fefd7e0dc7fe1f8e3e751d8",
            note="FaMAF course edition of the MeLi Challenge 2019, Spanish test partition",
        ),
        course("train", 4_895_280, 210_000_000),
        course("validation", 1_223_820, 53_000_000),
        Source(
            "meli-challenge", "meli/train.csv.gz", 680_000_000, NOT_STATED, big=True, rows=20_000_000,
            urls=("https://meli-data-challenge.s3.amazonaws.com/train.csv.gz",),
            note="the original challenge, Spanish and Portuguese, 1,588 categories",
        ),
    ]  # fmt: skip


def _sms() -> list[Source]:
    return [
        Source(
            "sms", "sms/SMSSpamCollection", 477_907, CC_BY, SMS_ZIPS, member="SMSSpamCollection", rows=5_574,
            required=True, sha256="7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d",
        ),
        Source(
            "sms-readme", "sms/readme", 5_802, CC_BY, SMS_ZIPS, member="readme",
            sha256="da28dee01c3f74e01113db30e0d95cde017c24049d6d12ed4cedd841682d2047",
        ),
    ]  # fmt: skip


def _sick() -> list[Source]:
    def semeval(part: str, stem: str, rows: int, size: int, sha256: str) -> Source:
        return Source(
            f"sick-{part}", f"sick/SICK_{stem}.txt", size, CC_BY_NC_SA, (f"{SICK_HOME}/sick_{stem}.zip",),
            member=f"SICK_{stem}.txt", sha256=sha256, rows=rows, required=True,
            read_with=(SICK_VECTORS, ("sts-train",)),
        )  # fmt: skip

    return [
        semeval("train", "train", 4_500, 506_243, "266cf8047149bd1d68138dd30439f3122bff30069740ac6705bb6197d9f1b48e"),
        semeval("trial", "trial", 500, 57_225, "5a88cfb62f8c6bd2a3cce0f2421ba2cb8c2be5ab4a800f6f01e2c64aafb7db56"),
        semeval(
            "test", "test_annotated", 4_927, 555_051, "4e313cdff4143122ee30541df2821f87f57c85d2763ab1a436fdb9863e34c1cc"
        ),
        Source(
            "sick-release", "sick/SICK.txt", 2_432_648, CC_BY_NC_SA, rows=9_840, member="SICK.txt",
            urls=("https://zenodo.org/record/2787612/files/SICK.zip?download=1",),
            sha256="1539c2d059809b5bd40694e26d8121cc85b6b496f91c7b40f2fc83bbd7dcd957",
            note="the later 12-column release",
        ),
    ]  # fmt: skip


def _sts() -> list[Source]:
    def pasted(name: str, rows: int, size: int, sha256: str) -> Source:
        year, part = name[:4], name.rsplit(".", 1)[1]
        return Source(
            f"semeval-{name}", f"sts/semeval/{name}.tsv", size, STS_LICENCE, sha256=sha256, rows=rows,
            excerpt_of=(f"semeval-{year}-{part}",),
        )  # fmt: skip

    train = Source(
        "sts-train", "sts/sts-train.csv", 901_177, STS_LICENCE, member="sts-train.csv", rows=5_749,
        read_with=(SICK_VECTORS, ("sick-train",)),
        urls=tuple(f"{home}/4/48/Stsbenchmark.tar.gz" for home in STS_IMAGES),
        sha256="0f71910b59aa1ad973c5897f0791f3b0965a92b8f82b1a95f3eea9f4162fda82",
    )  # fmt: skip
    archives = [
        Source(
            f"semeval-{name}", f"sts/archives/{path[5:]}", size, STS_LICENCE,
            urls=tuple(f"{home}/{path}" for home in reversed(STS_IMAGES)),
        )
        for name, path, size in SEMEVAL_ARCHIVES
    ]  # fmt: skip
    return [train, *archives, *(pasted(*row) for row in SEMEVAL_SETS)]


def _nltk() -> list[Source]:
    def wordnet(file: str, size: int, sha256: str) -> Source:
        kept = {"name": f"wordnet-{file}", "path": f"nltk_data/corpora/wordnet/{file}", "size": size}
        if file in WORDNET_REBUILT:
            note = "the mirror's copy was rebuilt; the archive's own is taken by the cut command"
            return Source(**kept, licence=WORDNET_LICENCE, sha256=sha256, excerpt_of=("wordnet",), note=note)
        return Source(
            **kept, licence=WORDNET_LICENCE, sha256=sha256, urls=(WORDNET_ZIP, WORDNET_TAR), member=file,
            note="hash of the WordNet 3.0 database file",
        )  # fmt: skip

    return [
        Source(
            "stopwords", "nltk_data/corpora/stopwords.zip", 34_276, NOT_STATED,
            urls=(f"{NLTK_PACKAGES}/corpora/stopwords.zip",),
            sha256="15c94179887425ca1bedc265608cab9f27d650211f709bb929e320990a4b01d1",
            note="address of the revision whose index states this file's md5; later ones hold other lists",
        ),
        Source(
            "wordnet", "nltk_data/archives/wordnet.zip", 10_775_600, WORDNET_LICENCE, (WORDNET_ZIP,),
            md5="b3f38606f626e54c6f060548546f71f0",
        ),
        *(wordnet(*row) for row in WORDNET_FILES),
    ]  # fmt: skip


def _whole_vectors() -> list[Source]:
    def glove(name: str, file: str, size: int, rows: int, sha256: str) -> Source:
        urls = (f"{STANFORD}/{file}", f"{STANFORD_HUB}/{file}")
        return Source(name, f"vectors/{file}", size, "PDDL", urls, sha256=sha256, rows=rows, big=True)

    return [
        Source(
            "googlenews", "vectors/GoogleNews-vectors-negative300.bin.gz", 1_743_563_840, NOT_STATED, big=True,
            urls=(f"{GENSIM_DATA}/word2vec-google-news-300/word2vec-google-news-300.gz",),
            md5="a5e5354d40acb95f9ec66d5977d140ef", rows=3_000_000,
        ),
        glove(
            "glove-840b", "glove.840B.300d.zip", 2_176_768_927, 2_196_017,
            "c06db255e65095393609f19a4cfca20bf3a71e20cc53e892aafa490347e3849f",
        ),
        glove(
            "glove-twitter", "glove.twitter.27B.zip", 1_520_408_563, 1_193_514,
            "792af52f795d1a32c9842a3240f5f3fe5e941a8ff6df5eb0f9d668092ebc019c",
        ),
        Source(
            "sbw", "vectors/SBW-vectors-300-min5.txt.bz2", 820_000_000, NOT_STATED, rows=1_000_653, big=True,
            urls=(f"{SBW_HOME}/SBWCE/SBW-vectors-300-min5.txt.bz2",), note="home: https://crscardellino.ar/SBWCE/",
        ),
        Source(
            "sbw-gz", "vectors/SBW-vectors-300-min5.txt.gz", 1_100_000_000, NOT_STATED, rows=1_000_653, big=True,
            urls=(f"{SBW_HOME}/resources/diplodatos/SBW-vectors-300-min5.txt.gz",), instead_of="sbw",
        ),
    ]  # fmt: skip


def _excerpted_vectors() -> list[Source]:
    return [
        Source(
            "googlenews-8k", "vectors/GoogleNews-vectors-negative300.8k.bin.gz", 4_992_504, NOT_STATED, rows=8_000,
            sha256="72d3cc19f83267d8e3d4f35f3324378b8d3d6d724a5f9aceaedfdc296183ef30", excerpt_of=("googlenews",),
            note="its first 8,000 words",
        ),
        Source(
            "glove-840b-sick", "vectors/glove.840B.300d.sick.txt.gz", 2_318_334, "PDDL", rows=2_402,
            sha256="ca37241785c6eac75001f501ebcc1e3802ba60c56497109d898cf0ec207618cc", excerpt_of=("glove-840b",),
            note="the words of SICK",
        ),
        Source(
            "glove-twitter-12k", "vectors/glove.twitter.27B.25d.12k.txt.gz", 1_046_018, "PDDL", rows=11_925,
            sha256="176c125a8d043aab81395ee9394204484463548b039573b70b505f9f2d5e2934", excerpt_of=("glove-twitter",),
            note="25-d; the mirror's holds frequent web words too, one cut here the words of the SMS collection",
        ),
        Source(
            "sbw-head", "vectors/SBW-vectors-300-min5.head.txt", 1_275_728, NOT_STATED, rows=446,
            sha256="0ab927259b1345c87f92db0de71c2ef4114b90e5422ae8c3096882d92461a5bb", excerpt_of=("sbw",),
            note="446 vectors under the header of 1,000,653: a sample of the format, and a cut-off file",
        ),
    ]  # fmt: skip


def _all() -> list[Source]:
    return [*_meli(), *_sms(), *_sick(), *_sts(), *_nltk(), *_whole_vectors(), *_excerpted_vectors()]


SOURCES: dict[str, Source] = {source.name: source for source in _all()}


def find(name: str) -> Source:
    """The source of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in SOURCES:
        raise ValueError(f"{name!r} is not in the catalogue; it holds: {', '.join(SOURCES)}")
    return SOURCES[name]


DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError),
    *(ValueError, TypeError, LookupError),  # out of zipfile and tarfile, which trust what the headers say
)


class ArchiveError(Exception):
    """An archive that is damaged, unsafe or lacks a member."""


def extract(archive: Path, members: Mapping[str, Path]) -> set[str]:
    """Write each member to its file and return the names that were found.

    Args:
        archive: zip or tar, compressed or not.
        members: name to file; a name is found in whatever folder of the archive it stands.

    Raises:
        ArchiveError: no such archive, damaged, or any of its members is a link or would land outside the folder.
    """
    found: set[str] = set()
    try:
        for path, stream in _zip_files(archive) if zipfile.is_zipfile(archive) else _tar_files(archive):
            for name in members:
                if path == name or path.endswith(f"/{name}"):
                    with members[name].open("wb") as file:
                        shutil.copyfileobj(stream, file, 1 << 20)
                    found.add(name)
                    break
    except (*DAMAGED, OSError) as error:
        raise ArchiveError(f"damaged archive ({error or type(error).__name__})") from error
    return found


def _zip_files(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            _refuse_unsafe(info.filename, link=stat.S_ISLNK(info.external_attr >> 16))
        for info in opened.infolist():
            if not info.is_dir():
                with opened.open(info) as stream:
                    yield info.filename, stream


def _tar_files(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    with tarfile.open(archive, "r|*") as opened:  # a stream: a big archive is unpacked once
        for member in opened:
            _refuse_unsafe(member.name, link=not (member.isfile() or member.isdir()))
            if member.isfile():
                yield member.name, opened.extractfile(member)


def _refuse_unsafe(name: str, *, link: bool) -> None:
    paths = PurePosixPath(name), PureWindowsPath(name)
    if any(path.is_absolute() or path.drive or ".." in path.parts for path in paths):
        raise ArchiveError(f"unsafe archive: member {name!r} would land outside its folder")
    if link:
        raise ArchiveError(f"unsafe archive: member {name!r} is a link or a device")


def open_stream(path: Path, member: str | None = None) -> BinaryIO:
    """Bytes of a file, unpacked as its suffix says: .gz, .bz2, .zip or none of them.

    Args:
        member: file inside a .zip; None where it holds one file only.

    Raises:
        ArchiveError: the zip is damaged, encrypted or does not hold that one file.
    """
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".bz2":
        return bz2.open(path, "rb")
    if path.suffix != ".zip":
        return path.open("rb")
    try:
        opened = zipfile.ZipFile(path)
        names = [name for name in opened.namelist() if member is None or PurePosixPath(name).name == member]
        if len(names) != 1:
            raise ArchiveError(f"{path.name}: {member or 'a single file'} wanted, it holds {opened.namelist()}")
        return opened.open(names[0])  # keeps the archive open until it is closed itself
    except DAMAGED as error:
        raise ArchiveError(f"{path.name}: damaged archive ({error})") from error


TIMEOUT = (3, 10)  # seconds to connect, seconds between two pieces of the answer
ATTEMPTS = 2
PAUSE = 1  # seconds between attempts
SLOWEST, WINDOW = 1_000, 20  # bytes per second that have to come, over so many seconds
PIECE = 1 << 20  # bytes read at once, at most
NO_ANSWER = f"no answer within {TIMEOUT[1]} s"
TOO_SLOW = f"slower than {SLOWEST / 1000:g} kB/s"
_unreachable: dict[str, str] = {}  # host: why, for the life of this process


class DownloadError(Exception):
    """Why an address did not give its file."""


def offline() -> bool:
    """DATA_OFFLINE=1: official addresses are not asked."""
    return os.environ.get("DATA_OFFLINE", "0") not in ("", "0")


def forget_unreachable() -> None:
    """Ask every host again."""
    _unreachable.clear()


def download(url: str, target: Path) -> None:
    """Write what the address serves to target; what is left there after an error is the caller's to remove.

    Raises:
        DownloadError: with the reason in a few words.
    """
    host = urlsplit(url).netloc
    if host in _unreachable:
        raise DownloadError(f"{_unreachable[host]} (host not asked again)")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _fetch(url, target)
            return
        except requests.exceptions.HTTPError as error:
            reason, again = f"HTTP {error.response.status_code}", error.response.status_code >= 500
        except requests.exceptions.RequestException as error:
            reason = _reason(error)
            again = reason != TOO_SLOW and not _never_connected(error)
            if not again:
                _unreachable[host] = reason
        if not again or attempt == ATTEMPTS:
            if reason == NO_ANSWER:
                _unreachable[host] = reason
            raise DownloadError(reason)
        time.sleep(PAUSE)


class _TooSlow(requests.exceptions.Timeout):
    """It comes, but would take for ever."""


def _fetch(url: str, target: Path) -> None:
    # "identity": a server must not unpack or repack what is verified by hash
    answer = requests.get(url, stream=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"})
    with answer, target.open("wb") as file:
        answer.raise_for_status()
        size, hidden = answer.raw.length_remaining, not _show_progress()
        start, due = 0, time.monotonic() + WINDOW
        with tqdm(total=size, unit="B", unit_scale=True, ncols=79, disable=hidden) as bar:
            for piece in _pieces(answer):
                bar.update(file.write(piece))
                if time.monotonic() >= due:
                    if file.tell() - start < SLOWEST * WINDOW:
                        raise _TooSlow
                    start, due = file.tell(), time.monotonic() + WINDOW


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    """Whatever has come, as it comes; requests' own reader waits until a piece is full, on a slow server for hours."""
    try:
        while piece := answer.raw.read1(PIECE):
            yield piece
    except HTTPError as error:
        raise requests.exceptions.ConnectionError(error) from error


def _show_progress() -> bool:
    return sys.stderr.isatty() and os.environ.get("TQDM_DISABLE", "0") in ("", "0")


def _cause(error: requests.exceptions.RequestException):
    inner = error.args[0] if error.args else None
    return getattr(inner, "reason", None) or inner


def _never_connected(error: requests.exceptions.RequestException) -> bool:
    refused = isinstance(_cause(error), NewConnectionError | ConnectTimeoutError)
    return refused or isinstance(error, requests.exceptions.ProxyError | requests.exceptions.SSLError)


def _reason(error: requests.exceptions.RequestException) -> str:
    if isinstance(error, _TooSlow):
        return TOO_SLOW
    if isinstance(error, requests.exceptions.SSLError):
        return "no trusted secure connection"
    if isinstance(_cause(error), NameResolutionError):
        return "host name not found (no network?)"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {TIMEOUT[0]} s"
    if _never_connected(error):
        return "connection refused"
    if isinstance(error, requests.exceptions.ReadTimeout) or "timed out" in str(error):
        return NO_ANSWER
    if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ConnectionError):
        return "connection broke off before the end of the file"
    return type(error).__name__


BIG = 50_000_000  # bytes from which a hash is remembered on disk
_digests: dict[tuple[str, int, int], str] = {}  # (path, size, mtime): sha256, for the life of this process


class Refused(Exception):
    """A file that came but is not what the catalogue says."""


def file_sha256(path: Path) -> str:
    """SHA-256 in hex; a big file is hashed once and known again by size and time of change."""
    status = path.stat()
    key = (str(path), status.st_size, status.st_mtime_ns)
    if key not in _digests:
        digest, stamp = _read_note(path)
        if status.st_size < BIG or stamp != _stamp(path):
            digest = pooch.file_hash(str(path))
        _digests[key] = digest
    return _digests[key]


def write_note(path: Path) -> None:
    """Write a file's hash to `<file>.sha256` beside it, as sha256sum does: from now on the file is held to it."""
    text = f"{file_sha256(path)}  {path.name}\n# {_stamp(path)}\n"
    with part_of(_note(path)) as part:
        part.write_text(text, encoding="utf-8")
        os.replace(part, _note(path))


@contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """A name of this process alone in target's folder; what stands there is gone afterwards, whatever happens."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def accept(source: Source, part: Path, target: Path) -> None:
    """Verify what was fetched and move it into place, noting its hash where no other is known.

    Raises:
        Refused: it is not the right file; nothing was moved.
    """
    if part.stat().st_size == 0:
        raise Refused("an empty file")
    held = None if source.sha256 else _read_note(target)[0]
    _compare(pooch.file_hash(str(part)), source.sha256 or held, held and _note(target))
    if source.md5 and not held and pooch.file_hash(str(part), alg="md5") != source.md5:
        raise Refused(f"md5 is not {source.md5}: damaged or another file")
    os.replace(part, target)
    if not source.sha256 or target.stat().st_size >= BIG:
        write_note(target)


def verify_cached(source: Source, target: Path) -> None:
    """Return if the cached file is the right one.

    Raises:
        FileNotFoundError: it is not there.
        Refused: it is damaged or another one.
    """
    digest, (held, stamp) = file_sha256(target), _read_note(target)
    if source.excerpt_of and digest == held:  # cut here: its bytes may differ from the mirror's
        return
    if source.sha256 is None and held is None:  # put there by hand
        if source.md5 and pooch.file_hash(str(target), alg="md5") != source.md5:
            raise Refused(f"md5 is not {source.md5}: damaged or another file")
        write_note(target)
        return
    _compare(digest, source.sha256 or held, None if source.sha256 else _note(target))
    if target.stat().st_size >= BIG and stamp != _stamp(target):
        write_note(target)


def _compare(digest: str, expected: str | None, note: Path | None) -> None:
    if expected and digest != expected:
        where = f", the hash of the first download ({note}; delete it to accept another file)" if note else ""
        raise Refused(f"sha256 is {digest[:12]}…, expected {expected[:12]}…{where}: damaged or another file")


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _read_note(path: Path) -> tuple[str | None, str]:
    """The hash that was written down for a file, and the size and time of change it had then."""
    if not _note(path).is_file():
        return None, ""
    first, *others = _note(path).read_text(encoding="utf-8").splitlines() or [""]
    return first.split(" ")[0] or None, others[0].removeprefix("# ") if others else ""


_sampled: dict[str, None] = {}  # in the order of their first use


class SourceError(RuntimeError):
    """A file that cannot be had: which, what was tried, what to do."""


@dataclass(frozen=True)
class Fetched:
    """What became of one source: `origin` is "cache" or an address, None where `error` says why not."""

    name: str
    required: bool
    origin: str | None
    error: str | None = None


def obtain(name: str, *, allow_big: bool = False) -> Path:
    """A verified file in the cache, fetched if need be.

    Args:
        name: of a source in the catalogue.
        allow_big: more than 50 MB may be downloaded.

    Raises:
        SourceError: it cannot be had.
        ValueError: no such name.
    """
    return _obtain(find(name), settings.cache_dir(), settings.mirror(), allow_big)[0]


def obtain_or_sample(name: str) -> tuple[Path, bool]:
    """obtain(name), or in profile quick the committed synthetic file in its place; and whether it is that.

    Raises:
        SourceError: it cannot be had, and the profile is full or there is no sample of it.
    """
    paths, is_sample = obtain_all_or_sample([name])
    return paths[0], is_sample


def obtain_all_or_sample(names: Sequence[str]) -> tuple[list[Path], bool]:
    """As obtain_or_sample() for files that belong together: all real or all sample, never mixed."""
    quick = settings.profile() == "quick"
    try:
        paths = [obtain(name) for name in names]
        for others in {find(name).read_with for name in names if quick}:
            for group in others:
                obtain_first(*group)
        return paths, False
    except SourceError:
        samples = [settings.sample_dir() / find(name).path for name in names]
        if quick and all(path.is_file() for path in samples):
            _say_sampled(names)
            return samples, True
        raise


def sampled() -> list[str]:
    """The sources whose synthetic sample has stood in for them in this process."""
    return list(_sampled)


def _say_sampled(names: Iterable[str]) -> None:
    """Once a source: real data may come beside it, and whoever reads the numbers has to know."""
    if new := [name for name in names if name not in _sampled]:
        _sampled.update(dict.fromkeys(new))
        print(f"{', '.join(new)}: the synthetic sample stands in", file=sys.stderr, flush=True)


def obtain_first(*names: str) -> tuple[Path, str]:
    """The first of several sources that is at hand (whole archives before their excerpts), and its name.

    Raises:
        SourceError: none of them is.
    """
    errors = []
    for name in names:
        try:
            return obtain(name), name
        except SourceError as error:
            errors.append(str(error))
    raise SourceError(" | ".join(errors))


def cached(name: str) -> Path | None:
    """The verified file if it is in the cache already; nothing is fetched."""
    source = find(name)
    target = settings.cache_dir() / source.path
    try:
        verify_cached(source, target)
    except (Refused, OSError):
        return None
    return target


def fetch_all(*, big: bool = False) -> list[Fetched]:
    """Obtain every source, print a line for each, and say what became of it.

    Args:
        big: those over 50 MB too.
    """
    forget_unreachable()
    rows: list[Fetched] = []
    for source in SOURCES.values():
        had = {row.name for row in rows if row.origin}
        if (source.big and not big) or source.instead_of in had:
            continue
        try:
            origin = _obtain(source, settings.cache_dir(), settings.mirror(), big)[1]
            rows.append(Fetched(source.name, source.required, origin))
        except SourceError as error:
            rows.append(Fetched(source.name, source.required, None, str(error)))
        _print_row(rows[-1])
    return rows


def verify_official(names: Iterable[str] | None = None) -> list[Fetched]:
    """Download small sources from their official addresses, past cache and mirror, and verify them; nothing is kept.

    Args:
        names: which ones; None: every small source that has an address.
    """
    chosen = [find(name) for name in names] if names is not None else SOURCES.values()
    forget_unreachable()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for source in chosen:
            if source.big or not source.urls:
                continue
            try:
                _obtain(source, Path(folder), None, False)
                rows.append(Fetched(source.name, source.required, "official"))
            except SourceError as error:
                rows.append(Fetched(source.name, source.required, None, str(error)))
            _print_row(rows[-1])
    return rows


def _obtain(source: Source, root: Path, mirror: str | None, allow_big: bool) -> tuple[Path, str]:
    target = root / source.path
    failures = []
    try:
        verify_cached(source, target)
        return target, "cache"
    except FileNotFoundError:
        pass
    except (Refused, OSError) as error:
        failures.append(f"{target}: {error}")
    for address, fill in _ways(source, root, mirror, allow_big):
        try:
            with part_of(target) as part:
                fill(part)
                accept(source, part, target)
            return target, address
        except (DownloadError, ArchiveError, Refused, OSError) as error:
            failures.append(f"{address}: {error}")
    raise SourceError(_message(source, target, failures, mirror, allow_big))


def _ways(source: Source, root: Path, mirror: str | None, allow_big: bool) -> Iterator[tuple[str, Callable]]:
    may_download = allow_big or not source.big
    if mirror and not mirror.startswith(("http://", "https://")):
        file = Path(mirror) / source.path
        yield str(file), partial(_copy, file)
    elif mirror and may_download:
        url = f"{mirror}/{quote(source.path)}"
        yield url, partial(download, url)
    if may_download and not offline():
        for url in source.urls:
            yield url, partial(_unpack, url, source, root) if source.member else partial(download, url)


def _copy(file: Path, part: Path) -> None:
    if not file.is_file():
        raise DownloadError("not there")
    shutil.copyfile(file, part)


def _unpack(url: str, source: Source, root: Path, part: Path) -> None:
    """Download an archive, take the member out, and on the way the other sources that stand in the same archive."""
    with ExitStack() as stack:
        archive = stack.enter_context(part_of(part.with_name("archive")))
        download(url, archive)
        others = [s for s in SOURCES.values() if s.member and url in s.urls and s.name != source.name]
        others = {s.member: s for s in others if not (root / s.path).exists()}
        parts = {member: stack.enter_context(part_of(root / s.path)) for member, s in others.items()}
        found = extract(archive, {source.member: part, **parts})
        if source.member not in found:
            raise ArchiveError(f"the archive holds no {source.member}")
        for member in found - {source.member}:
            with suppress(Refused):  # told when that source itself is asked for
                accept(others[member], parts[member], root / others[member].path)


def _message(source: Source, target: Path, failures: list[str], mirror: str | None, allow_big: bool) -> str:
    tried = failures or ["not in the cache"]
    if mirror is None:
        tried.append("no mirror (DATA_MIRROR is not set)")
    if source.urls and offline():
        tried.append("official addresses not asked (DATA_OFFLINE)")
    todo = [f"put the file at {target}", f"set DATA_MIRROR to a folder or address that holds {source.path}"]
    if source.excerpt_of:
        todo.append(f"cut it from {', '.join(source.excerpt_of)} with `python -m helpers data cut {source.name}`")
    elif source.big and not allow_big:
        todo.append(f"run `make data-full`, which downloads it ({source.size / 1e6:,.0f} MB) from {source.urls[0]}")
    elif source.urls:
        member = f" ({source.member} inside it)" if source.member else ""
        todo.append(f"download it from {source.urls[0]}{member}")
    return f"{source.path} cannot be had. Tried: {'; '.join(tried)}. To go on: {'; or '.join(todo)}."


def _print_row(row: Fetched) -> None:
    mark = "ok  " if row.origin else "FAIL" if row.required else "none"
    print(f"{mark} {row.name}: {row.origin or row.error}", flush=True)
