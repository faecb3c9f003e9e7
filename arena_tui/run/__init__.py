"""The run screen and what opens from it.

run_screen   the summary, the lists and, on wide terminals, the panel beside them
summary      the two lines on top, and a line for each GPU
progress_line  a bar across the screen
run_tables   the lists (tasks, endpoints, log), which share the lines
run_panel    speed over time, and scores so far
tasks        the task table, and the details of one task
endpoints    the endpoint table, and the dialog that changes an endpoint's limits
log          the log, and the details of one entry
plan_screen  what a run would do, with choices of scope, and the dialog for a stop rule
"""
