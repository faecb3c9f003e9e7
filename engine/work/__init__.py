"""All work of a run: what is missing, in which order it is made, which calls make it, and how far it is.

Words: a `Plan` has a `Task` for each model's answers and each judge's judgments of a model; a task has a job for each
record to make; a job is open as long as parts of it (choices of an answer, games of a judgment) are unfinished; each
part takes one HTTP call or more.

    participants    which models answer, which judge, which are judged
    plan            Scope + config + bench -> Plan
    tasks           what is cached, stale or missing of one task
    jobs            one record to make, with its finished parts
    queue           what is made next: a priority queue for each model, fed with games as answers are saved
    worker          for each model its endpoints, its client and the workers that empty its queues
    calls           which calls make one part of a job
    recorder        finished parts -> journal -> records on disk -> events
    stopping        the stop rule of a run (`until`), and a forecast of what it saves
    progress        events -> RunState, which every front end shows
    provenance      what `runs/<id>.json` holds of a run

`engine.run` puts them together.
"""
