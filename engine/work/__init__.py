"""All work of a run: what is missing, in which order it is made, which calls make it, and how far it is.

A `Plan` has a `Task` for the answers of each model and for the judgments of each judge on each model. A task has a job
for each record to make. A job is open while parts of it (choices of an answer, games of a judgment) are unfinished, and
a part takes one call (an HTTP request) or more.

    participants    which models answer, which judge, which are judged
    plan            Scope + config + bench -> Plan
    repeating       what keeps repeats from showing any noise
    tasks           what is cached, stale or missing of one task
    jobs            one record to make, with its finished parts
    duration        how long a plan will take
    costs           tokens, money and server hours: expected and spent
    execution       makes the parts that carry out a plan, in order, and ends them
    queue           what is made next: a priority queue for each model, fed with games as answers are saved
    worker          for each model its endpoints, its client, and a worker for each of its queues
    calls           which calls make one part of a job
    recorder        finished parts -> journal -> records on disk -> events
    stopping        the stop rule of a run (`until`), and a forecast of what it saves
    progress        events -> RunState, which every front end shows
    following       the events of a run in another process, from its files
    provenance      what `runs/<id>.json` holds of a run

`engine.run` connects them.
"""
