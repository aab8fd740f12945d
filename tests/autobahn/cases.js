// Which cases a set holds, and what of two outcomes is the worse.
'use strict';

/** `12.1.1`, `12.1.3`, … : some cases of each group. */
const some = (groups, cases) => groups.flatMap((group) => cases.map((one) => `${group}.${one}`));

const DEFLATE = ['12.1', '12.2', '12.3', '12.4', '12.5',
  '13.1', '13.2', '13.3', '13.4', '13.5', '13.6', '13.7'];

exports.SETS = {
  // One of each kind, messages of 1 MiB and every deflate parameter among them: half a minute.
  quick: {
    count: 144,
    cases: ['1.*', '2.*', '3.*', '4.*', '5.*', '6.1.*', '6.2.*', '6.3.*', '6.4.*', '6.6.*',
      '7.*', '10.*', '9.1.3', '9.2.3', '9.3.4', '9.4.4', '9.5.2', '9.6.2', '9.7.1', '9.8.1',
      '12.1.1', '12.1.3', '12.3.5', ...some(DEFLATE.slice(5), [1])],
  },
  // Everything, but of the 216 cases that vary the sizes of deflated messages two of each group.
  std: {
    count: 325,
    cases: ['1.*', '2.*', '3.*', '4.*', '5.*', '6.*', '7.*', '9.*', '10.*',
      ...some(DEFLATE, [1, 3])],
  },
};

const RANKS = [
  // The informational cases have no wrong answer.
  ['OK', 'INFORMATIONAL'],
  ['NON-STRICT'],
  ['UNCLEAN', 'WRONG CODE', 'UNIMPLEMENTED', 'FAILED BY CLIENT'],
  ['FAILED'],
];

const rank = (word) => {
  const found = RANKS.findIndex((words) => words.includes(word));
  return found < 0 ? RANKS.length : found;
};

/** Whether an outcome `[behaviour, close behaviour]` is worse than another in either part. */
exports.isWorse = (outcome, than) => outcome.some((word, part) => rank(word) > rank(than[part]));

/** `1.2.10` comes after `1.2.9`. */
exports.byNumber = (a, b) => {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)];
  const differs = left.findIndex((number, place) => number !== right[place]);
  return differs < 0 ? left.length - right.length : left[differs] - (right[differs] ?? -1);
};
