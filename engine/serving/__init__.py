"""vLLM servers that arena-tui runs itself: which, on which GPUs, when; start, watch, restart, stop.

plan        which servers a config needs, on which GPUs, in which order
forecast    how long the starts, and so the whole plan, will take
gpus        the GPUs of this machine, as nvidia-smi reports them
held        the lock file of other programs, while which no server is started
fleet       the servers of one run, each started in its turn and stopped when no model needs it
registry    servers that register themselves in a folder, for runs on other machines
listing     the endpoints of a model as the config lists them now
place       where a server runs and how it is started there: on this machine
nodes       the nodes of a Ray cluster and their GPUs
cluster_watch  is the head of a Ray cluster there, and which nodes have joined
growth      further servers on nodes that join
node_checks  what each node lacks to run the servers of a plan
cluster     the same on the nodes of a Ray cluster, as the run sees it
node_server  the same, as its node sees it: the actor that owns the process
server      one server from its first start to its last exit
model_folder  what is wrong with the folder of a model
adapters    LoRA adapters on a server: loading, and whether its base stays itself beside them
process     its process under a warden, its port, orphans of a crash
warden      the program that stops a server when its owner exits
ready       whether a started server answers
server_log  its log on disk; start-up stage and cause of failure read from it
endpoints   where a model can be called: the interface that a run needs of all of this
"""
