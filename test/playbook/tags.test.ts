import test from 'ava';
import { selected } from '../../src/playbook/tags.js';

/** Tags of a task | --tags | --skip-tags | runs. After ansible/playbook/taggable.py. */
const TABLE = `
            |              |              | yes
  web       |              |              | yes
  never     |              |              | no
  always    |              |              | yes
  web       | web          |              | yes
  web       | db           |              | no
            | web          |              | no
  always    | web          |              | yes
  always    |              | always       | no
  always    | web          | always       | no
  never web | web          |              | yes
  never web | never        |              | yes
  never web | all          |              | no
  never web | tagged       |              | no
  web       | tagged       |              | yes
            | tagged       |              | no
            | untagged     |              | yes
  web       | untagged     |              | no
  always    | untagged     |              | yes
  web       |              | web          | no
  web db    | web          | db           | no
  web       |              | tagged       | no
            |              | tagged       | yes
            |              | untagged     | no
  web       |              | untagged     | yes
  web       |              | all          | no
  always    |              | all          | yes
  always    |              | all always   | no
  web       | all          |              | yes
  web       | web db       |              | yes
`;

for (const row of TABLE.trim().split('\n')) {
  const [tags, only, skip, expected] = row.split('|').map((cell) => cell.trim().split(/\s+/).filter((word) => word !== ''));
  test(`tags [${tags}] --tags [${only}] --skip-tags [${skip}]: ${expected}`, (t) => {
    t.is(selected(tags!, only!, skip!), expected![0] === 'yes');
  });
}
