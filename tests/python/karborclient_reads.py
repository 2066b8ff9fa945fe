"""Reads restores with python-karborclient as it is: karborclient_reads.py ENDPOINT OWN KARBORS FOREIGN

The tokens token-1 (project p1) and token-admin (all projects) are known there.
"""

import sys

from karborclient.common.apiclient import exceptions
from karborclient.v1 import client


def connect(endpoint, project, token):
    return client.Client(endpoint="%s/%s" % (endpoint, project), token=token, project_id=project)


def raises(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error as raised:
        return raised
    raise AssertionError("no %s" % error.__name__)


def main(endpoint, own, karbors, foreign):
    restores = connect(endpoint, "p1", "token-1").restores

    restore = restores.get(own)
    assert restore.id == own and restore.status == "in_progress", restore
    assert restore.resources_status["V#2"] == "error", restore
    assert restore.resources_reason == {"V#2": "no space \u00fc"}, restore
    assert restore.parameters == {"V#s1": {"size": 2 ** 70}}, restore
    assert set(restore.to_dict()) == {
        "id", "project_id", "provider_id", "checkpoint_id", "restore_target", "parameters",
        "status", "resources_status", "resources_reason"}, restore

    everything = [restore.id for restore in restores.list()]
    assert len(everything) == 4 and foreign not in everything, everything
    assert [r.id for r in restores.list(search_opts={"status": "success"})] == [karbors]
    by_id = [r.id for r in restores.list(sort="id:asc")]
    assert by_id == sorted(everything), by_id
    walked = []
    while True:
        marker = walked[-1] if walked else None
        page = restores.list(sort_key="id", sort_dir="asc", limit=2, marker=marker)
        if not page:
            break
        walked.extend(r.id for r in page)
    assert walked == by_id, walked

    admin = connect(endpoint, "p1", "token-admin").restores
    assert foreign in [r.id for r in admin.list(search_opts={"all_tenants": 1})]

    missing = raises(exceptions.NotFound, restores.get, foreign)
    assert "Restore %s could not be found." % foreign in str(missing), missing
    malformed = raises(exceptions.BadRequest, restores.get, "nonsense")
    assert "Invalid restore id provided." in str(malformed), malformed
    raises(exceptions.BadRequest, connect(endpoint, "p2", "token-1").restores.list)
    raises(exceptions.AuthorizationFailure, connect(endpoint, "p1", "wrong").restores.list)
    raises(exceptions.MethodNotAllowed, restores.create, "p", "c", None, {}, None)


main(*sys.argv[1:])
