# Start-up commands of `curserve shell` for fish, after the user's own: the shim's place and the prompt's mark.
if set -q CURSERVE_SHIM_DIR
    if test "$PATH[1]" != "$CURSERVE_SHIM_DIR"
        set -gx PATH $CURSERVE_SHIM_DIR $PATH
    end
    set -e CURSERVE_SHIM_DIR
end
if not functions -q __curserve_fish_prompt
    functions -q fish_prompt; or function fish_prompt; echo '> '; end
    functions --copy fish_prompt __curserve_fish_prompt
    function fish_prompt
        echo -n '(curserve) '
        __curserve_fish_prompt
    end
end
