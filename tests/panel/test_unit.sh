#!/bin/bash
# What the panel computes without a browser (unit.test.mjs), under node.
src=${SEGUE_SRC:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
exec node --test-reporter=tap "$src/tests/panel/unit.test.mjs"
