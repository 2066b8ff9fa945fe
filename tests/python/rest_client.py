"""python-karborclient against the worker's REST API: ADDRESS PROJECT RESTORE_ID.

The restore is expected to have succeeded with one available and one failed volume.
"""

import sys
import uuid
import warnings

warnings.simplefilter('ignore')

from karborclient.common.apiclient import exceptions  # noqa: E402
from karborclient.v1 import client  # noqa: E402

ADDRESS, PROJECT, RESTORE_ID = sys.argv[1:]

karbor = client.Client(endpoint='http://%s/v1/%s' % (ADDRESS, PROJECT), token='anything')

restore = karbor.restores.get(RESTORE_ID)
assert restore.id == RESTORE_ID and restore.project_id == PROJECT
assert restore.status == 'success'
assert restore.restore_target == 'http://keystone/v3'
assert restore.resources_status == {
    'OS::Cinder::Volume#volume-1': 'available', 'OS::Cinder::Volume#volume-2': 'error'}
assert restore.resources_reason == {'OS::Cinder::Volume#volume-2': 'no space'}

listed = karbor.restores.list()
assert RESTORE_ID in [one.id for one in listed]
assert len(karbor.restores.list(limit=1)) >= 1
assert RESTORE_ID in [one.id for one in karbor.restores.list(sort_key='id', sort_dir='asc')]
assert [one.id for one in karbor.restores.list(search_opts={'status': 'success'})] == [RESTORE_ID]
assert karbor.restores.list(search_opts={'status': 'fail'}) == []

for wrong, error in ((str(uuid.uuid4()), 404), ('no-uuid', 400)):
    try:
        karbor.restores.get(wrong)
    except Exception as caught:  # noqa: B902 - its class depends on the client's release
        code = getattr(caught, 'http_status', None) or getattr(caught, 'code', None)
        assert code == error, (wrong, caught)
    else:
        raise AssertionError('%s was found' % wrong)
print('done', exceptions.__name__)
