class AsyncEngineArgs:
    @staticmethod
    def add_cli_args(parser):
        parser.add_argument("--max-model-len", type=int)
        parser.add_argument("--enforce-eager", action="store_true")
        parser.add_argument("--tensor-parallel-size", type=int, default=1)
        return parser
