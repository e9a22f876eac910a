# Start-up file of `curserve shell` for zsh: the user's own, then the shim's place and the prompt's mark.
ZDOTDIR=$CURSERVE_ZDOTDIR
[[ -r $ZDOTDIR/.zshrc ]] && source "$ZDOTDIR/.zshrc"
[[ $ZDOTDIR == "$HOME" ]] && unset ZDOTDIR
if [[ -n $CURSERVE_SHIM_DIR ]]; then
    [[ ":$PATH:" == ":$CURSERVE_SHIM_DIR:"* ]] || PATH="$CURSERVE_SHIM_DIR:$PATH"
    rehash
fi
[[ $PROMPT == *'(curserve) '* ]] || PROMPT="(curserve) $PROMPT"
unset CURSERVE_ZDOTDIR CURSERVE_OUR_ZDOTDIR CURSERVE_SHIM_DIR
