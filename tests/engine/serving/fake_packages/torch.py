"""As much of torch as Ray Data needs to be imported."""

import tempfile


class Tensor:
    """No tensor is made."""


class hub:  # noqa: N801
    """Where Ray Data would keep what it downloads."""

    @staticmethod
    def _get_torch_home() -> str:
        return tempfile.gettempdir()
