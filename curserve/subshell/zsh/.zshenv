# Start-up file of `curserve shell` for zsh: the user's own, read with ZDOTDIR as they know it.
CURSERVE_OUR_ZDOTDIR=$ZDOTDIR
ZDOTDIR=$CURSERVE_ZDOTDIR
[[ -r $ZDOTDIR/.zshenv ]] && source "$ZDOTDIR/.zshenv"
CURSERVE_ZDOTDIR=$ZDOTDIR
ZDOTDIR=$CURSERVE_OUR_ZDOTDIR
