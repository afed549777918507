"""completions: what bash, zsh and fish need to complete command lines of this program."""

from __future__ import annotations

from argparse import Namespace
from typing import Final

from .command import Command, Need, Where, positional
from .context import Context
from .results import Document, Result

__all__ = ["COMMANDS", "SCRIPTS"]

_BASH: Final = r"""# Completion of blockdb for bash 3.2 and newer. Load it with: source <(blockdb completions bash)
_blockdb() {
    local found
    COMPREPLY=()
    while IFS= read -r found; do
        COMPREPLY+=("$found")
    done < <("${COMP_WORDS[0]}" complete bash "${COMP_LINE:0:$COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null </dev/null)
}
complete -o nospace -F _blockdb blockdb blockdb-cli
"""

_ZSH: Final = r"""#compdef blockdb blockdb-cli
# Completion of blockdb for zsh. Keep it as _blockdb in a folder of $fpath, or load it with:
# source <(blockdb completions zsh)
_blockdb() {
    local word more told line="${(j: :)words[1,CURRENT-1]} ${QIPREFIX}${IPREFIX}${PREFIX}"
    local -a whole whole_told open open_told
    while IFS=$'\t' read -r word more told; do
        if [[ $more == + ]]; then
            open+=("$word") open_told+=("$told")
        else
            whole+=("$word") whole_told+=("$told")
        fi
    done < <("${words[1]}" complete zsh "$line" 2>/dev/null </dev/null)
    (( $#whole )) && compadd -Q -U -l -V whole -S ' ' -d whole_told -- "${whole[@]}"
    (( $#open )) && compadd -Q -U -l -V open -S '' -d open_told -- "${open[@]}"
    (( $#whole + $#open ))
}
if [[ $funcstack[1] == _blockdb ]]; then
    _blockdb "$@"
else
    (( $+functions[compdef] )) || { autoload -U compinit && compinit }
    compdef _blockdb blockdb blockdb-cli
fi
"""

_FISH: Final = r"""# Completion of blockdb for fish. Load it with: blockdb completions fish | source
function __blockdb_complete
    set -l program (commandline -opc)[1]
    command $program complete fish (commandline -cp | string collect) 2>/dev/null </dev/null
end
for name in blockdb blockdb-cli
    complete -c $name -f -k -a '(__blockdb_complete)'
end
"""

SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def completions(_: Context, arguments: Namespace) -> Result:
    """Print the script."""
    script = SCRIPTS[arguments.shell]
    return Document(script, {"shell": arguments.shell, "script": script})


COMMANDS = (
    Command(
        "completions",
        "Print the script that makes bash, zsh or fish complete blockdb's command lines.",
        completions,
        (positional("shell", "Which shell.", choices=tuple(SCRIPTS)),),
        details="Commands, flags and what may follow them are completed, files and profiles, and the names of "
        "collections and keys that the database has at that moment. It is asked for 0.3 s at most: if it does not "
        "answer, or wants a passphrase, the rest is completed without it. They run `blockdb complete SHELL LINE`.",
        examples=(
            ("completions bash", "bash: put `source <(blockdb completions bash)` into ~/.bashrc"),
            ("completions zsh", "zsh: the same in ~/.zshrc, or keep it as _blockdb in $fpath"),
            ("completions fish", "fish: send it to ~/.config/fish/completions/blockdb.fish"),
        ),
        need=Need.NOTHING,
        where=Where.COMMAND_LINE,
        formats=("table", "json", "raw"),
        default_format="raw",
    ),
)
