"""Set-up and upkeep inside the terminal UI.

setup_screen   a first start: bench, servers, roles, checks, and the start
server_screen  the dialog for one more server
import_screen  a path to import, with completion
pick_screen    chooses among names, with typing to find
tools          what the app can do on every screen: config, bench, import, export, checks, logs
editing        the user's editor over the suspended app
doctor_screen  export_screen  log_screen    one screen each
"""
