# Sourced by ./play and ./check: the system libraries, and the Python environment in .venv.
# Quick when nothing is missing. Leaves everything else on the machine as it is.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=$root/.venv/bin/python

say() { printf '%s\n' "$*" >&2; }

# What is wanted at run time, and the Debian or Ubuntu package that has it.
wanted_to_play=(
    libportaudio.so.2=libportaudio2     # sound devices
    libasound.so.2=libasound2           # ALSA MIDI
    libjack.so.0=libjack-jackd2-0       # JACK MIDI
    libEGL.so.1=libegl1                 # from here on: Qt's window
    libGL.so.1=libgl1
    libdbus-1.so.3=libdbus-1-3
    libfontconfig.so.1=libfontconfig1
    libglib-2.0.so.0=libglib2.0-0
    libxkbcommon.so.0=libxkbcommon0
    libxkbcommon-x11.so.0=libxkbcommon-x11-0
    libxcb-cursor.so.0=libxcb-cursor0
    libxcb-icccm.so.4=libxcb-icccm4
    libxcb-image.so.0=libxcb-image0
    libxcb-keysyms.so.1=libxcb-keysyms1
    libxcb-render-util.so.0=libxcb-render-util0
    libxcb-shape.so.0=libxcb-shape0
)
wanted_to_check=(
    jackd=jackd2                        # a sound server without a sound card
    libfluidsynth.so.3=libfluidsynth3   # the training recipe's synthesiser
    /usr/share/sounds/sf2/FluidR3_GM.sf2=fluid-soundfont-gm
)

# system_libraries WHAT=PACKAGE ... : WHAT is a library, a program or a file; installs the packages of what is not there, if it may.
system_libraries() {
    local known missing=() each
    known=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null || true)
    for each in "$@"; do
        case ${each%%=*} in
        /*) [[ -e ${each%%=*} ]] || missing+=("${each##*=}") ;;
        *.so.*) [[ $known == *"${each%%=*} "* ]] || missing+=("${each##*=}") ;;
        *) command -v "${each%%=*}" >/dev/null || missing+=("${each##*=}") ;;
        esac
    done
    ((${#missing[@]})) || return 0
    if ! command -v apt-get >/dev/null; then
        say "Missing system libraries; install what your system calls ${missing[*]}."
        return 0
    fi
    local as_root=()
    if ((EUID != 0)); then
        if command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
            as_root=(sudo)
        else
            say "Missing system libraries; install them with: sudo apt-get install -y ${missing[*]}"
            return 0
        fi
    fi
    say "Installing system libraries: ${missing[*]}"
    local install=(env DEBIAN_FRONTEND=noninteractive
        apt-get install -qq -y --no-install-recommends "${missing[@]}")
    "${as_root[@]}" "${install[@]}" >/dev/null 2>&1 </dev/null ||
        { "${as_root[@]}" apt-get update -qq >/dev/null 2>&1 &&
            "${as_root[@]}" "${install[@]}" >/dev/null </dev/null; } ||
        say "That failed; install them with: sudo apt-get install -y ${missing[*]}"
}

# A Python 3.11 or 3.12 that runs and can make an environment.
find_python() {
    local each
    for each in python3.11 python3.12 python3; do
        if "$each" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
            >/dev/null 2>&1; then
            command -v "$each"
            return
        fi
    done
    say "Python 3.11 or 3.12 with venv is needed; install it with: sudo apt-get install -y python3 python3-venv"
    return 1
}

# python_environment EXTRA : .venv with the program and, unless EXTRA is empty, that extra.
python_environment() {
    local extra=$1 state found
    state=$(cksum <"$root/pyproject.toml")
    "$python" -c '' 2>/dev/null &&
        grep -qsE "^$state ($extra|dev)\$" "$root/.venv/installed" && return
    say "Preparing $root/.venv (some minutes the first time)"
    if ! "$python" -m pip --version >/dev/null 2>&1; then
        found=$(find_python) || return
        "$found" -m venv --clear "$root/.venv" || return
    fi
    # torch first and exactly, so that nothing else chooses another build of it
    "$python" -m pip install --quiet --disable-pip-version-check torch==2.13.0 || return
    "$python" -m pip install --quiet --disable-pip-version-check \
        --editable "$root${extra:+[$extra]}" || return
    printf '%s %s\n' "$state" "$extra" >>"$root/.venv/installed"
}
