"""The run screen and what opens from it.

run_screen   three lists (tasks, endpoints, log) below a summary
summary      the two lines on top, and a line for each GPU
tasks        the task table, and the details of one task
endpoints    the endpoint table, and the dialog that changes an endpoint's limits
log          the log, and the details of one entry
plan_screen  what a run would do, with choices of scope, and the dialog for a stop rule
"""
