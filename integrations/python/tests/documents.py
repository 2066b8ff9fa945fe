"""The Python examples of the documents, so that what is shown is what was run."""

import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def source(document, holding):
    """The one Python example of a document that holds a text.

    :param document: path from the project's folder
    """
    with open(os.path.join(ROOT, document)) as text:
        found = re.findall(r'^```python\n(.*?)^```$', text.read(), re.DOTALL | re.MULTILINE)
    code, = [one for one in found if holding in one]
    return code


def example(document, holding, **replacements):
    """The same, compiled.

    :param replacements: `url` and `topic` to be used instead of those shown
    """
    code = source(document, holding)
    if 'url' in replacements:
        assert 'rabbit://user:pass@broker:5672/' in code
        code = code.replace('rabbit://user:pass@broker:5672/', replacements['url'])
    if 'topic' in replacements:
        # Shown where it is not the default.
        code = code.replace("'karbor-restore'", repr(replacements['topic']))
        code = code.replace('restore_id, context)', 'restore_id, context, topic=%r)' % replacements['topic'])
    return compile(code, document, 'exec')
