"""What pip installs."""

import os
import shutil
import subprocess
import sys

FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def pip(*arguments):
    subprocess.run([sys.executable, '-m', 'pip', '--quiet', '--disable-pip-version-check']
                   + list(arguments), check=True)


def test_pip_installs_every_module(tmp_path):
    source, wheels, site = tmp_path / 'source', tmp_path / 'wheels', tmp_path / 'site'
    # Building leaves files beside what it builds.
    shutil.copytree(FOLDER, str(source), ignore=shutil.ignore_patterns('tests', '*.egg-info'))
    pip('wheel', '--no-deps', '--no-build-isolation', '--wheel-dir', str(wheels), str(source))
    wheel, = wheels.iterdir()
    assert wheel.name.startswith('karbor_restore_client-')
    pip('install', '--no-deps', '--target', str(site), str(wheel))

    def modules(folder):
        return sorted(os.path.relpath(os.path.join(root, name), str(folder))
                      for root, _, names in os.walk(str(folder)) for name in names
                      if name.endswith('.py'))

    here = modules(os.path.join(FOLDER, 'karbor_restore_client'))
    assert modules(site / 'karbor_restore_client') == here and len(here) > 5
