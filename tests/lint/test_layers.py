"""The layers hold: base <- core <- {sip, media, store, db, http} <- app; nothing looks sideways."""

import re

from lint import Tap, files, text

# What each folder may include from the others, and which library headers it alone may see.
MAY_SEE = {
    "base": {"base"},
    "core": {"base", "core"},
    "sip": {"base", "core", "sip"},
    "media": {"base", "core", "media"},
    "store": {"base", "core", "store"},
    "db": {"base", "core", "store", "db"},
    "http": {"base", "core", "http"},
    "app": {"base", "core", "sip", "media", "store", "db", "http", "app"},
}
LIBRARIES = {
    "sofia-sip/su_wait.h": {"sip", "app"},  # the event loop itself
    "sofia-sip/": {"sip"},
    "libpq-fe.h": {"db"},
    "lmdb.h": {"store"},
    "microhttpd.h": {"http"},
    "curl/": {"http"},
    "zlib.h": {"http"},
    "libconfig.h": {"app"},
    "jansson.h": {"media", "app"},
}
# The core asks nobody for anything: no clock, no dice, no files, no network.
IMPURE = re.compile(r"\b(time|clock_gettime|gettimeofday|rand|random|getrandom|fopen|open|read|write"
                    r"|socket|printf|fprintf|getenv|pthread_\w+)\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)


def code(source):
    """Without comments and strings."""
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\])*"', " ", source, flags=re.S)


def sources(folder):
    return files(".c", ".h", ".tbl", under=f"src/{folder}")


def main():
    tap = Tap()
    for folder, may in MAY_SEE.items():
        wrong = []
        for name in sources(folder):
            for inc in INCLUDE.findall(text(name)):
                other = inc.split("/")[0]
                if other in MAY_SEE and other not in may:
                    wrong.append(f"{name} includes {inc}: {folder} may not see {other}")
                lib = next((lib for lib in LIBRARIES if inc.startswith(lib)), None)
                if lib and folder not in LIBRARIES[lib]:
                    wrong.append(f"{name} includes {inc}: only {', '.join(LIBRARIES[lib])} may")
        tap.check(f"{folder} includes only what is below it", wrong)

    wrong = [f"{name}: {m.group(0)}" for name in sources("core")
             for m in IMPURE.finditer(code(text(name)))]
    tap.check("core does no I/O, reads no clock, rolls no dice", wrong)

    wrong = [f"{name}: {m.group(0)}" for name in files(".c", ".h", under="src")
             if name != "src/sip/stack_nta.c"
             for m in re.finditer(r"\bnta_\w+", code(text(name)))]
    tap.check("no nta_ outside sip/stack_nta.c", wrong)

    # Handles of the library's own call layer are looked up on its thread; a dialog is found by our tag.
    wrong = [f"{name}: {m.group(0)}" for name in files(".c", ".h", under="src")
             for m in re.finditer(r"\b(?:nua_|nta_leg_by_|pthread_create|su_clone_)\w*",
                                  code(text(name)))
             if not m.group(0).startswith("pthread") or name.startswith("src/sip/")]
    tap.check("E-131 no nua_, no look-up of legs in the library, no thread in sip/", wrong)

    wrong = [f"{name}:{i}" for name in files(".c", ".h", under="src")
             for i, line in enumerate(text(name).split("\n"), 1)
             if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line)]
    tap.check("nothing is left to be done later", wrong)
    tap.finish()


main()
