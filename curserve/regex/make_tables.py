"""Writes unicode_tables.py: the Unicode data of the real rg, learned by asking it.

In: the path of a ripgrep binary. Out: one module of packed strings (see `pack`), one per distinct set of scalar values.
Invariant: nothing here comes from a Unicode database; a name the binary refuses is left out, and a pattern that uses it
is declined later. What it does not do: prove that the list of candidate names is complete (it need not be).

Run:  python -m curserve.regex.make_tables RG [OUTPUT]
"""
from __future__ import annotations

import concurrent.futures
import pathlib
import subprocess
import sys
import tempfile

BINARY = """
ahex asciihexdigit alpha alphabetic bidic bidicontrol bidim bidimirrored cased ci caseignorable cwcf
changeswhencasefolded cwcm changeswhencasemapped cwkcf changeswhennfkccasefolded cwl changeswhenlowercased cwt
changeswhentitlecased cwu changeswhenuppercased dash di defaultignorablecodepoint dep deprecated dia diacritic emoji
emojicomponent ecomp emojimodifier emod emojimodifierbase ebase emojipresentation epres ext extender
extendedpictographic extpict grbase graphemebase grext graphemeextend grlink graphemelink hex hexdigit hyphen idc
idcontinue ideo ideographic ids idstart idsb idsbinaryoperator idst idstrinaryoperator idsu idsunaryoperator
idcompatmathstart idcompatmathcontinue joinc joincontrol loe logicalorderexception lower lowercase math mcm
modifiercombiningmark nchar noncharactercodepoint oalpha otheralphabetic odi otherdefaultignorablecodepoint ogrext
othergraphemeextend oidc otheridcontinue oids otheridstart olower otherlowercase omath othermath oupper
otheruppercase patsyn patternsyntax patws patternwhitespace pcm prependedconcatenationmark qmark quotationmark
radical ri regionalindicator sd softdotted sterm sentenceterminal term terminalpunctuation uideo unifiedideograph
upper uppercase vs variationselector wspace whitespace space xidc xidcontinue xids xidstart compex
fullcompositionexclusion ce compositionexclusion
""".split()

CATEGORY = """
any assigned ascii c other cc control cntrl cf format cn unassigned co privateuse cs surrogate l letter lc
casedletter ll lowercaseletter lm modifierletter lo otherletter lt titlecaseletter lu uppercaseletter m mark
combiningmark mc spacingmark me enclosingmark mn nonspacingmark n number nd decimalnumber digit nl letternumber no
othernumber p punctuation punct pc connectorpunctuation pd dashpunctuation pe closepunctuation pf finalpunctuation
pi initialpunctuation po otherpunctuation ps openpunctuation s symbol sc currencysymbol sk modifiersymbol sm
mathsymbol so othersymbol z separator zl lineseparator zp paragraphseparator zs spaceseparator
""".split()

SCRIPT = """
adlam adlm aghb caucasianalbanian ahom anatolianhieroglyphs hluw arab arabic armenian armn armi imperialaramaic
avestan avst bali balinese bamu bamum bass bassavah batak batk beng bengali bhaiksuki bhks bopo bopomofo brah brahmi
brai braille bugi buginese buhd buhid cakm chakma canadianaboriginal cans cari carian cham cher cherokee chorasmian
chrs common zyyy copt coptic qaac cpmn cyprominoan cprt cypriot cuneiform xsux cyrillic cyrl deseret dsrt deva
devanagari diak divesakuru dogr dogra dupl duployan egyp egyptianhieroglyphs elba elbasan elym elymaic ethi ethiopic
gara garay geor georgian glag glagolitic gong gunjalagondi gonm masaramgondi goth gothic gran grantha greek grek
gujarati gujr gukh gurungkhema gurmukhi guru han hani hang hangul hanifirohingya rohg hano hanunoo hatr hatran hebr
hebrew hira hiragana hmng pahawhhmong hmnp nyiakengpuachuehmong hrkt katakanaorhiragana hung oldhungarian inherited
zinh qaai inscriptionalpahlavi phli inscriptionalparthian prti ital olditalic java javanese kaithi kthi kali kayahli
kana katakana kannada knda kawi khar kharoshthi khitansmallscript kits khmer khmr khoj khojki khudawadi sind kirat
kiratrai krai lana taitham lao laoo latin latn lepc lepcha limb limbu lina lineara linb linearb lisu lyci lycian
lydi lydian mahajani mahj maka makasar malayalam mlym mand mandaic mani manichaean marc marchen medefaidrin medf
meeteimayek mtei mend mendekikakui merc meroiticcursive mero meroitichieroglyphs miao plrd modi mong mongolian mro
mroo mult multani myanmar mymr nabataean nbat nagm nagmundari nand nandinagari narb oldnortharabian newa newtailue
talu nko nkoo nshu nushu ogam ogham olchiki olck oldpermic perm oldpersian xpeo oldsogdian sogo oldsoutharabian sarb
oldturkic orkh olduyghur ougr onao olonal oriya orya osage osge osma osmanya palm palmyrene pauc paucinhau phag
phagspa phlp psalterpahlavi phnx phoenician rejang rjng runic runr samaritan samr saur saurashtra sgnw signwriting
sharada shrd shavian shaw sidd siddham sinh sinhala sogd sogdian sora sorasompeng soyo soyombo sund sundanese sunu
sunuwar sylo sylotinagri syrc syriac tagalog tglg tagb tagbanwa taile tale taiviet tavt takr takri tamil taml tangsa
tnsa tang tangut telu telugu tfng tifinagh thaa thaana thai tibetan tibt tirh tirhuta todhri todr toto tutg
tulutigalari ugar ugaritic unknown zzzz vai vaii vith vithkuqi wancho wcho wara warangciti yezi yezidi yi yiii
zanabazarsquare zanb
""".split()

AGES = (
    "1.1 2.0 2.1 3.0 3.1 3.2 4.0 4.1 5.0 5.1 5.2 6.0 6.1 6.2 6.3 "
    "7.0 8.0 9.0 10.0 11.0 12.0 12.1 13.0 14.0 15.0 15.1 16.0 17.0"
)

GRAPHEME = """
cn control cr eb ebase ebasegaz ebg em emodifier ex extend gaz glueafterzwj l lf lv lvt other xx pp prepend
regionalindicator ri sm spacingmark t v zwj
""".split()

WORD_BREAK = """
aletter le cr doublequote dq eb ebase ebasegaz ebg em emodifier ex extendnumlet extend fo format gaz glueafterzwj
hebrewletter hl ka katakana lf mb midletter midnum midnumlet ml mn newline nl nu numeric other xx regionalindicator
ri singlequote sq wsegspace zwj
""".split()

SENTENCE = """
at aterm cl close cr ex extend fo format le oletter lf lo lower nu numeric other xx sc scontinue se sep sp st sterm
up upper
""".split()


def queries() -> dict[str, str]:
    """Key of the tables → regex that asks for it. Keys are normalised names, `property=value` for pairs."""
    out = {"perl_word": r"\w", "perl_digit": r"\d", "perl_space": r"\s"}
    for name in BINARY + CATEGORY + SCRIPT:
        out[name] = rf"\p{{{name}}}"
    ages = AGES.split() + ["v" + age.replace(".", "") for age in AGES.split()]
    for prefix, values in (("gc", CATEGORY), ("sc", SCRIPT), ("scx", SCRIPT), ("age", ages), ("gcb", GRAPHEME),
                           ("wb", WORD_BREAK), ("sb", SENTENCE)):
        for value in values:
            out[f"{prefix}={value}"] = rf"\p{{{prefix}={value}}}"
    return out


def pack(ranges: list[tuple[int, int]]) -> str:
    """Ranges as numbers in base 36: the gap since the last range's end, the range's length less one, and so on."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"

    def base36(number: int) -> str:
        text = ""
        while True:
            number, digit = divmod(number, 36)
            text = digits[digit] + text
            if not number:
                return text

    numbers, last = [], 0
    for low, high in ranges:
        numbers += [base36(low - last), base36(high - low)]
        last = high
    return " ".join(numbers)


class Oracle:
    """Asks one ripgrep binary which scalar values a pattern matches."""

    def __init__(self, rg: str, folder: pathlib.Path) -> None:
        self.rg = rg
        self.scalars = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF and c != 10]
        self.file = folder / "scalars"
        self.newline = folder / "newline"
        self.starts: dict[int, int] = {}
        position = 0
        data = []
        for index, scalar in enumerate(self.scalars):
            encoded = chr(scalar).encode()
            self.starts[position] = index
            position += len(encoded)
            data.append(encoded)
        self.file.write_bytes(b"".join(data))
        self.newline.write_bytes(b"a\nb")

    def run(self, *argv: str) -> tuple[int, bytes]:
        argv = (self.rg, "--no-config", *argv)
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        return done.returncode, done.stdout

    def ranges(self, regex: str) -> list[tuple[int, int]] | None:
        """The sorted ranges of scalar values that `regex` matches; None if rg refuses it."""
        code, out = self.run("-a", "-o", "-b", "--no-line-number", f"(?:{regex})+", str(self.file))
        if code not in (0, 1):
            return None
        members: list[tuple[int, int]] = []
        for line in out.split(b"\n")[:-1]:
            offset, text = line.split(b":", 1)
            first = self.starts[int(offset)]
            last = first + len(text.decode()) - 1
            low = first
            for index in range(first + 1, last + 2):  # split where the file skips \n or the surrogates
                if index > last or self.scalars[index] != self.scalars[index - 1] + 1:
                    members.append((self.scalars[low], self.scalars[index - 1]))
                    low = index
        code, _ = self.run("-U", "-q", f"a(?:{regex})b", str(self.newline))
        if code == 0:
            members.append((10, 10))
        merged: list[tuple[int, int]] = []
        for low, high in sorted(members):
            # Rust's classes hold scalar values only; a range over the surrogates is one range to it.
            if merged and (low == merged[-1][1] + 1 or (merged[-1][1] == 0xD7FF and low == 0xE000)):
                merged[-1] = (merged[-1][0], high)
            else:
                merged.append((low, high))
        return merged


def fold_orbits(oracle: Oracle, folder: pathlib.Path) -> list[str]:
    """The classes of simple case folding with two or more members, each as a sorted string."""
    candidates: set[int] = set()
    for name in (r"\p{cwcm}", r"\p{cwcf}", r"\p{cased}"):
        for low, high in oracle.ranges(name) or []:
            candidates.update(range(low, high + 1))
    ordered = sorted(candidates)
    file = folder / "cased"
    file.write_bytes(b"".join(chr(c).encode() + b"\n" for c in ordered))

    def ask(scalar: int) -> str:
        _, out = oracle.run("--no-line-number", rf"^(?i:\x{{{scalar:x}}})$", str(file))
        return "".join(sorted(out.decode().split("\n")[:-1]))

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        orbits = {orbit for orbit in pool.map(ask, ordered) if len(orbit) > 1}
    seen: set[str] = set()
    for orbit in orbits:
        if seen & set(orbit):
            raise SystemExit(f"overlapping fold classes at {orbit!a}")
        seen |= set(orbit)
    # Nothing outside the candidates may fold to a candidate.
    rest = oracle.ranges("(?i:[^" + "".join(rf"\x{{{c:x}}}" for c in ordered) + "])")
    if rest is None or any(low <= ord(c) <= high for low, high in rest for c in seen):
        raise SystemExit("a scalar value outside the candidates folds")
    return sorted(orbits)


def main(argv: list[str]) -> int:
    """Writes the module; prints what it learned."""
    output = pathlib.Path(argv[2] if len(argv) > 2 else pathlib.Path(__file__).with_name("unicode_tables.py"))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        oracle = Oracle(argv[1], folder)
        version = oracle.run("--version")[1].split(b"\n")[0].decode()
        asked = queries()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            answers = dict(zip(asked, pool.map(oracle.ranges, asked.values()), strict=True))
        sets: dict[str, int] = {}
        names: dict[str, int] = {}
        for key, ranges in answers.items():
            if ranges is not None:
                names[key] = sets.setdefault(pack(ranges), len(sets))
        orbits = fold_orbits(oracle, folder)
    lines = [f'"""Unicode sets and case folding as {version} has them. Written by make_tables.py; do not edit."""',
             "# ruff: noqa: E501", "SETS = ("]
    lines += [f'    "{packed}",' for packed in sets]
    lines += [")", "NAMES = {"]
    lines += [f'    "{key}": {index},' for key, index in sorted(names.items())]
    lines += ["}", "FOLDS = ("]
    flat = [" ".join(f"{ord(c):x}" for c in orbit) for orbit in orbits]
    for start in range(0, len(flat), 12):
        lines.append('    "' + ",".join(flat[start:start + 12]) + ',"')
    lines += [")", ""]
    output.write_text("\n".join(lines))
    print(f"{version}: {len(names)} names, {len(sets)} sets, {len(orbits)} fold classes; "
          f"refused: {sorted(set(asked) - set(names))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
