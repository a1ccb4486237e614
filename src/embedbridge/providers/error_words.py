"""What may be shown of a server's own words: those of a fixed vocabulary, and numbers beside a unit.

A server may quote a text as it came, in capitals, reversed, cut or encoded, and no search for the text finds all of
that. So nothing is searched for: a word is shown because it stands in this list, whoever sent it, and "…" stands for
all others. That leaves of a quoted text at most the words that errors are made of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

SHOWN = 200
"""Characters of a provider's own words that an error may carry."""
_READ = 800
"""Characters of them that are looked at."""
_LONG = 8
"""Characters; a shorter secret is only taken out where it stands as a word."""
GAP = "…"
_KEY = "\0"

_LINKS = """
a about above after all already also an and any are as at be because been before being below between but by can cannot
contact could did do does due during each either else every exactly few fewer first for from given had has have how if
in into is isn it its itself last later least less longer made many may more most much must neither no none nor not of
on once one only or other otherwise out over own per please s same see set shall should since so some soon still such
sure t than that the their them then there these they this those through to too two under until up use used uses using
valid was way we were what when where whether which while will with within without would yet you your zero
"""
_NOUNS = """
access account action activity address admin agent algorithm alias allocation allocator api app application area
argument arguments array arrays attempt attempts auth authentication authorization authorized availability azure
backend backlog bad balance base batch batches batching battery billing block body boolean bound boundary budget
buffer bug byte bytes cache call calls capability capacity card certificate char character characters chunk client
cloud cloudflare code cohere command compute concurrency concurrent condition config configuration connection
connections content context core cost count country cpu credential credentials credit credits ctx cublas cuda customer
daemon data database day days decoder default deployment depth description detail details developer device dimension
dimensions direction disk docs document documentation documents domain driver element elements email embed embedder
embedding embeddings encoder encoding end endpoint engine entity entries entry environment error errors event example
exception execution expiry failure feature field fields file files filter firewall flag float floats forbidden form
format forward frequency function gateway gemini google gpu group guide handler hardware hash header headers help host
hour hours http https hz id identifier index indices inf inference infinity info information infrastructure input
inputs instance instances instruction integer interface internal invalid ip issue item items job json kernel key keys
kind kv language layer len length level limit limits line list lists llama load loader location lock log machine
maintenance management max maximum mean media mem member memory message messages method metric min minimum minute
minutes mode model models moderation module month months name names nan network nil node null number numbers object
ollama onnx oom openai operation option options order organization origin output outputs owner package padding page
param parameter parameters params parent part parts path pattern payload payment period permission permissions place
plan platform policy pool port position precision prefix pricing process product project prompt prompts property
protocol provider proxy purchase quantity query queue quota quotas range rate rates ratio ray reason record redirect
reference region replica replicas reply request requests resource resources response restart result results retries
retry role route router rpd rpm rps rule runner runtime safety schema scope second seconds section security seed
sequence sequences server servers service services session setting settings shape shard signature site size sizes slot
source space specification split ssl stack state status storage stream string strings subscription support swap syntax
system table task tasks team tei temperature tenant tensor test text texts thread threads tier time timeout tls token
tokenizer tokens tool torch total tpd tpm traffic trial truncation tuple type types unit upgrade upstream uri url
usage user users validation value values vector vectors version vllm voyage waf week weight weights width window word
words worker workers workspace xinference
"""
_VERBS = """
abort aborted accept accepted accepts accessible add again allocate allocated allow allowed allows appears apply
available avoid ban banned blocked both bound busy canceled cancelled cause caused change check chosen close closed
come complete completed configured connect connected consider contain contains continue convert corrupt corrupted
crash crashed create created current currently deactivated decode decoded decrease define defined deleted denied deny
deprecated disabled does down downstream dropped duplicate empty enable enabled encode encoded encountered ended
ensure equal establish evaluate exceed exceeded exceeding exceeds excessive exhausted exist existing exists expect
expected expects expired extra fail failed fails fetch fill find finish finished fit fits fix flagged found free full
generate generation get go greater handle handling harmful head hit however ignored illegal implement implemented
improper inactive inappropriate include included incorrect increase increasing initialize insufficient interrupted
killed large larger launch leave legal lies limited loaded loading locked lost lower malformed match mismatch
mismatched missing modify moved multiple need needed needs new numeric occurred occurs offline ok old online open
optional overflow overloaded parse parsed parsing pass passed past pending permitted positive prevent prevented
process processed processing produced prohibited provide provided purchased raise raised reach reached read receive
received reduce refuse refused register registered reject rejected reload remaining remove removed request requested
require required requires requiring reset restricted retired retrieve return returned returning returns run running
scale select send sending sends sent serve served shorten shorter shut shutdown single slow small smaller specified
specify start started starting stop stopped submit submitted succeed success successful supplied supported supports
suspended take taken temporarily temporary terminated throttled throttling timed transient tried trigger triggered
truncate truncated try trying unable unauthenticated unauthorized unavailable unexpected unhandled unhealthy unknown
unprocessable unreachable unrecognized unsupported update updated upgrade upgraded validate verify violated violates
violation wait waiting warm warming went write written wrong
"""
_COMPOUND = """
allocationquota apikey bad datainspectionfailed deploymentnotfound freetieronly invalidapikey invalidparameter
modelnotfound ratelimit ratelimitexceeded ratequota throttlingexception validationexception
"""
WORDS = frozenset(f"{_LINKS} {_NOUNS} {_VERBS} {_COMPOUND}".split())

_UNIT_WORDS = """
bytes characters chars dimensions elements gb gib given inputs items kb least length limit max maximum mb mib minimum
minute minutes most per received requested requests second seconds size texts than token tokens used index
"""
_UNITS = frozenset(_UNIT_WORDS.split())
_FIELDS = WORDS | {"api", "dtype", "keep", "alive", "num"}
_QUOTED = re.compile(r"(?<!\w)(['\"`]|\\\")(.{0,400}?)\1(?!\w)", re.DOTALL)
_PIECE = re.compile(r"\0|…|\d+(?:\.\d+)?(?:ms|[smh])?(?:\d+(?:\.\d+)?s)?\b|\w+(?:'[st]\b)?|[.,:;()]")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W_]+")
_NUMBER = re.compile(r"\d{1,7}(\.\d{1,3}\d*)?")
_DURATION = re.compile(r"(?=\d)(\d{1,3}h)?(\d{1,4}m)?(\d{1,5}(\.\d+)?(ms|s))?")


def show(said: str, secrets: Iterable[str]) -> str:
    """What an error may show of a server's words; "" where too little of it is known to make sense."""
    said = said[:_READ]
    for secret in secrets:
        if len(secret) >= _LONG:
            said = said.replace(secret, _KEY)
        elif secret:
            said = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _KEY, said)
    said = _QUOTED.sub(lambda found: f" {found[2] if _is_field(found[2]) else GAP} ", said)
    pieces = _PIECE.findall(said)
    shown = [_shown(pieces, at) for at in range(len(pieces))]
    if sum(piece.isalpha() for piece in shown) < 2:
        return ""
    return _joined(shown)


def show_name(name: object) -> str:
    """An identifier (a code, a type, a field's name) that is made of known words, or a short number; else ""."""
    if isinstance(name, int) and not isinstance(name, bool):
        return str(name) if abs(name) < 1_000_000 else ""
    if not isinstance(name, str) or len(name) > 80 or not re.fullmatch(r"[\w.$\[\]/-]+", name):
        return ""
    parts = [part.lower() for part in _PARTS.findall(name)]
    known = all(part in _FIELDS or (part.isdigit() and len(part) < 4) for part in parts)
    return name if parts and known and not parts[0].isdigit() else ""


def _is_field(quoted: str) -> bool:
    return quoted == _KEY or (bool(re.fullmatch(r"[$.]*[a-z]+(_[a-z]+)*", quoted)) and bool(show_name(quoted)))


def _shown(pieces: list[str], at: int) -> str:
    piece = pieces[at]
    if piece == _KEY:
        return "<key>"
    if piece[0].isdigit():
        beside = [pieces[near].lower() for near in (at - 1, at - 2, at + 1) if 0 <= near < len(pieces)]
        known = _NUMBER.fullmatch(piece) and any(near in _UNITS for near in beside)
        waits = _DURATION.fullmatch(piece) and any(near in {"in", "after", "for"} for near in beside[:1])
        return piece if known or waits else GAP
    if piece in ".,:;()…":
        return piece
    word = re.sub(r"'[st]$", "", piece)
    parts = [part.lower() for part in _PARTS.findall(word)]
    known = word.lower() in WORDS or (bool(parts) and all(part in WORDS for part in parts))
    return piece if known else GAP


def _joined(pieces: list[str]) -> str:
    """Words with blanks between them, and one "…" for several in a row."""
    text = ""
    for piece in pieces:
        if piece == GAP and re.search(rf"{GAP}[\s.,:;()]*$", text):
            text = re.sub(rf"{GAP}[\s.,:;()]*$", GAP, text)
        else:
            text += piece if not text or piece in ".,:;)" or text.endswith("(") else f" {piece}"
    text = re.sub(r"\(\s*\)", "", text).strip(" ,:;")
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + GAP
