"""What is kept of a step: the first of the likeliest tokens."""

import pytest
import torch

from pagedkv.model import batch
from pagedkv.model.kernels import batch as kernels
from tests.model.kernels.cases import DEVICE, normal

ROWS, TOKENS = 5, 12


@pytest.mark.parametrize("vocabulary", [100, 4096, 9000])
def test_kept_as_by_the_reference(vocabulary):
    logits = normal(4, vocabulary)
    logits[0, [3, vocabulary // 2, vocabulary - 1]] = 9.0  # the first of equals
    logits[1, vocabulary - 2] = 9.0
    logits[2] = -torch.inf
    requests = torch.tensor([[0, 4, 1, 0, 1], [2, 3, 2, 1, 1], [3, 0, 1, 2, 1], [1, 5, 1, 3, 0]], dtype=torch.int32)
    stores = []
    for module, device in ((batch, "cpu"), (kernels, DEVICE)):
        store = batch.TokenStore.empty(ROWS, TOKENS, device)
        store.known[2] = 8
        module.keep(store, requests.to(device), logits.to(device))
        stores.append(store)
    for name in ("tokens", "sampled", "evidence"):
        assert torch.equal(getattr(stores[0], name), getattr(stores[1], name).cpu())
    assert stores[1].sampled[0, 5] == 3
    assert stores[1].tokens[2, 5] == 0  # it is known what comes there


def test_a_logit_that_is_no_number_is_kept_as_such():
    logits = normal(1, 5000)
    logits[0, 4500] = torch.nan
    store = batch.TokenStore.empty(ROWS, TOKENS, DEVICE)
    kernels.keep(store, torch.tensor([[0, 4, 1, 0, 1]], dtype=torch.int32, device=DEVICE), logits)
    assert store.sampled[0, 5] == 4500
    assert store.evidence[0, 5].isnan()
