"""What expressions evaluate to. Rows are from doc/langdef.md and cel-spec's conformance data."""

import math
from typing import Any

import pytest

from tiphys.cel import types
from tiphys.cel.environment import base
from tiphys.cel.errors import EvaluationError
from tiphys.cel.expression import compiled
from tiphys.cel.values import Duration, Timestamp, Uint, equal, type_name

DATA: dict[str, Any] = {
    "x": {"a": [1, 2, 3], "b": {"c": "d"}, "n": None, "f": 1.5},
    "m": {"one": 1, "two": 2},
    "n": 5,
    "s": "hello",
}
ENVIRONMENT = base().with_variables({
    "x": types.DYN,
    "m": types.map_of(types.STRING, types.INT),
    "n": types.INT,
    "s": types.STRING,
})  # fmt: skip


def value_of(source: str) -> Any:
    outcome = compiled(source, ENVIRONMENT).program.run(DATA)
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


# One expression a line, with what it is as another expression.
EQUAL = r"""
1 + 2 * 3 | 7
(1 + 2) * 3 | 9
7 / 2 | 3
-7 / 2 | -3
-7 % 3 | -1
7 % -3 | 1
7.0 / 2.0 | 3.5
5u - 3u | 2u
0x1F | 31
0xFFu | 255u
1.5e3 | 1500.0
.5 | 0.5
--5 | 5
!!true | true
-(-5) | 5
'a' + "b" | 'ab'
b'a' + b'b' | b'ab'
[1] + [2, 3] | [1, 2, 3]
'\n' == r'\n' | false
r'a\d' | 'a\\d'
'''a'b''' | "a'b"
'\u00e9\x41\101' | 'éAA'
b'\xff'.size() | 1
b'é'.size() | 2
'αβγ'.size() | 3
size([1, 2]) + size({'a': 1}) + size('abc') | 6
dyn(1) == 1.0 | true
dyn(1) == dyn(1u) | true
dyn(1) == dyn('1') | false
1 < 1.5 | true
dyn(2u) > 1 | true
'a' < 'b' | true
b'a' <= b'b' | true
false < true | true
[1, 2] == [1, 2] | true
[1, 2] == [2, 1] | false
{'a': 1} == {'a': 1} | true
{'a': {'b': [1]}} == {'a': {'b': [1]}} | true
null == null | true
true ? 1 : 2 | 1
false || true && true | true
true || (1 / 0 > 0) | true
(1 / 0 > 0) || true | true
false && (1 / 0 > 0) | false
(1 / 0 > 0) && false | false
1 in [1, 2] | true
'a' in {'a': 1} | true
3 in [1, 2] | false
dyn(1.0) in [1, 2] | true
[10, 20][1] | 20
{'a': 1}['a'] | 1
{1: 'x'}[1] | 'x'
{true: 'x'}[true] | 'x'
x.b.c | 'd'
x['b']['c'] | 'd'
x.a[0] | 1
m.one + m['two'] | 3
has(x.b.c) | true
has(x.b.z) | false
has(m.three) | false
[1, 2, 3].all(v, v > 0) | true
[1, 2, 3].all(v, v > 1) | false
[].all(v, v > 1) | true
[1, 2].exists(v, v == 2) | true
[0, 1].exists(v, 1 / v == 1) | true
[1, 2, 2].exists_one(v, v == 2) | false
[1, 2, 3].existsOne(v, v == 2) | true
[1, 2].map(v, v * 2) | [2, 4]
[1, 2, 3].map(v, v > 1, v * 2) | [4, 6]
[1, 2, 3].filter(v, v % 2 == 1) | [1, 3]
m.all(k, k.size() == 3) | true
m.map(k, k).sort() | ['one', 'two']
[[1], [2, 3]].map(l, l.map(v, v + 1)) | [[2], [3, 4]]
[1, 2].all(v, [1, 2].exists(w, v == w)) | true
[1, 2].all(i, v, i < v) | true
m.exists(k, v, k == 'two' && v == 2) | true
[5, 6].transformList(i, v, i + v) | [5, 7]
[5, 6].transformList(i, v, v > 5, v) | [6]
m.transformMap(k, v, v + 1) | {'one': 2, 'two': 3}
m.transformMap(k, v, v > 1, v) | {'two': 2}
['a', 'b'].transformMapEntry(i, v, {v: i}) | {'a': 0, 'b': 1}
type(1) == int | true
type(1u) == uint | true
type('a') == string | true
type([]) == list | true
type({}) == map | true
type(null) == null_type | true
type(type(1)) == type | true
type(timestamp('2020-01-01T00:00:00Z')) == google.protobuf.Timestamp | true
int('12') + int(3.9) + int(4u) | 19
uint('12') | 12u
double('1.5') + double(2) | 3.5
string(1) + string(true) + string(1.5) + string(2u) | '1true1.52'
string(1e6) + string(100000.0) + string(1e-5) | '1e+061000001e-05'
string(b'abc') | 'abc'
bytes('é') == b'\303\251' | true
bool('true') && !bool('False') | true
string(duration('1h30m')) | '5400s'
string(duration('-1.5s')) | '-1.5s'
string(timestamp('2020-02-03T04:05:06.700Z')) | '2020-02-03T04:05:06.7Z'
int(timestamp('1970-01-02T00:00:00Z')) | 86400
timestamp('2020-01-01T00:00:00Z') + duration('24h') | timestamp('2020-01-02T00:00:00Z')
timestamp('2020-01-02T00:00:00Z') - timestamp('2020-01-01T00:00:00Z') | duration('24h')
timestamp('2020-01-01T00:00:00+01:00') | timestamp('2019-12-31T23:00:00Z')
duration('1h') < duration('61m') | true
timestamp('2020-02-03T04:05:06.789Z').getFullYear() | 2020
timestamp('2020-02-03T04:05:06.789Z').getMonth() | 1
timestamp('2020-02-03T04:05:06.789Z').getDayOfMonth() | 2
timestamp('2020-02-03T04:05:06.789Z').getDate() | 3
timestamp('2020-02-03T04:05:06.789Z').getDayOfWeek() | 1
timestamp('2020-02-03T04:05:06.789Z').getDayOfYear() | 33
timestamp('2020-02-03T04:05:06.789Z').getHours('+02:00') | 6
timestamp('2020-02-03T04:05:06.789Z').getMilliseconds() | 789
timestamp('2020-02-03T04:05:06Z').getHours('America/New_York') | 23
duration('3661.5s').getMinutes() | 61
duration('3661.5s').getMilliseconds() | 500
s.startsWith('he') && s.endsWith('lo') && s.contains('ell') | true
s.matches('^h.*o$') | true
matches(s, 'l{2}') | true
s.matches('(?i)HELLO') | true
'tacocat'.charAt(3) + 'x'.charAt(1) | 'o'
'hello mellow'.indexOf('ello', 2) | 7
'hello mellow'.lastIndexOf('ello') | 7
'TacoCat'.lowerAscii() + 'é'.upperAscii() | 'tacocaté'
'hello hello'.replace('he', 'we', 1) | 'wello hello'
'abc'.replace('', '_') | '_a_b_c_'
'a,b,c'.split(',') | ['a', 'b', 'c']
'a,b,c'.split(',', 2) | ['a', 'b,c']
'a,b,c'.split(',', 0) == [] | true
'abc'.split('') | ['a', 'b', 'c']
'tacocat'.substring(4) + 'tacocat'.substring(0, 4) | 'cattaco'
'  \ttrim\n '.trim() | 'trim'
['a', 'b'].join() + ['a', 'b'].join('-') | 'aba-b'
strings.quote('a\n"b') | '"a\\n\\"b"'
'%s is %d'.format([dyn('x'), dyn(3)]) | 'x is 3'
'%.2f %x %X %b %o %%'.format([dyn(1.005), dyn(255), dyn('hi'), dyn(5), dyn(8)]) | '1.00 ff 6869 101 10 %'
'%s'.format([['a', 'b']]) | '["a", "b"]'
'%s'.format([{'k': true}]) | '{"k":true}'
'abc 123'.find('[0-9]+') | '123'
'123 abc 456'.findAll('[0-9]+') | ['123', '456']
'123 abc 456'.findAll('[0-9]+', 1) | ['123']
[1, 3, 2].max() - [1, 3, 2].min() | 2
[1, 2, 3].sum() | 6
['a', 'b'].isSorted() | true
[2, 1, 2].indexOf(2) + [2, 1, 2].lastIndexOf(2) | 2
[1, 2, 3, 4].slice(1, 3) | [2, 3]
[[1], [2, 3]].flatten() | [1, 2, 3]
[3, 1, 2].sort() | [1, 2, 3]
['bb', 'a'].sortBy(t, t.size()) | ['a', 'bb']
[1, 1, 2].distinct() | [1, 2]
[1, 2].reverse() | [2, 1]
lists.range(3) | [0, 1, 2]
sets.contains([1, 2], [2]) && !sets.contains([1], [2]) | true
sets.equivalent([1, 2, 2], [2, 1]) | true
sets.intersects([1, 2], [2, 3]) | true
optional.of(1).value() | 1
optional.none().hasValue() | false
optional.ofNonZeroValue('').orValue('x') | 'x'
x.?b.?c.orValue('') | 'd'
x.?q.?c.orValue('none') | 'none'
m[?'three'].orValue(3) | 3
[1, 2][?5].hasValue() | false
optional.of(2).optMap(v, v * 2).value() | 4
optional.of(2).optFlatMap(v, optional.none()).hasValue() | false
optional.none().or(optional.of(1)).value() | 1
[?optional.of(1), ?optional.none()] | [1]
{?'a': optional.of(1), ?'b': optional.none()} | {'a': 1}
has(x.?b.c) | true
url('https://a.b:80/c%20d?x=1&x=2').getHost() | 'a.b:80'
url('https://a.b:80/c%20d?x=1&x=2').getPort() | '80'
url('https://[::1]:80/').getHostname() | '::1'
url('https://a.b/c%20d').getEscapedPath() | '/c%20d'
url('https://a.b/?x=1&x=2').getQuery()['x'] | ['1', '2']
isURL('/absolute') && !isURL('relative') | true
quantity('1.5Gi').compareTo(quantity('1536Mi')) | 0
quantity('50k').asInteger() + quantity('1').add(2).asInteger() | 50003
quantity('9999999999999999999999999999999999999G').isInteger() | false
isQuantity('1.3G') && !isQuantity('1,3G') | true
quantity('200M').isLessThan(quantity('300M')) | true
sign(quantity('-1')) | -1
quantity('1') == quantity('1000m') | true
ip('192.168.0.1').family() + ip('::1').family() | 10
isIP('1.2.3.4') && !isIP('1.2.3.256') && !isIP('::ffff:1.2.3.4') | true
ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD') | true
ip('127.0.0.1').isLoopback() && ip('0.0.0.0').isUnspecified() | true
string(ip('::1')) | '::1'
cidr('192.168.0.0/24').containsIP('192.168.0.9') | true
cidr('192.168.0.0/16').containsCIDR('192.168.10.0/24') | true
cidr('192.168.0.5/24').masked() == cidr('192.168.0.0/24') | true
cidr('192.168.0.0/24').prefixLength() | 24
isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0/33') | true
!format.dns1123Label().validate('my-name').hasValue() | true
format.named('dns1123Label').value().validate('Bad').hasValue() | true
format.named('nope').hasValue() | false
semver('1.2.3').major() + semver('1.2.3').patch() | 4
semver('1.0.0-alpha').isLessThan(semver('1.0.0')) | true
semver('v01.2', true) == semver('1.2.0') | true
isSemver('1.2.3') && !isSemver('1.2') | true
jsonpatch.escapeKey('a/b~c') | 'a~1b~0c'
// a comment
"""  # noqa: E501 - one row, one line


def rows(text: str) -> list[Any]:
    found = [line for line in text.strip().splitlines() if not line.startswith("//")]
    return [pytest.param(*line.rsplit(" | ", 1), id=line.rsplit(" | ", 1)[0]) for line in found]


@pytest.mark.parametrize(("source", "wanted"), rows(EQUAL))
def test_an_expression_is_equal_to_another(source: str, wanted: str) -> None:
    assert equal(value_of(source), value_of(wanted)), value_of(source)


@pytest.mark.parametrize(("source", "value", "name"), [
    ("1", 1, "int"),
    ("1u", Uint(1), "uint"),
    ("1.0", 1.0, "double"),
    ("null", None, "null_type"),
    ("b'a'", b"a", "bytes"),
    ("duration('1s')", Duration(1_000_000_000), "google.protobuf.Duration"),
    ("timestamp(0)", Timestamp(0), "google.protobuf.Timestamp"),
])  # fmt: skip
def test_values_have_their_types(source: str, value: Any, name: str) -> None:
    found = value_of(source)
    assert (found, type(found)) == (value, type(value))
    assert type_name(value_of(f"type({source})")) == name


def test_a_number_that_is_none_is_equal_to_nothing() -> None:
    assert math.isnan(value_of("0.0 / 0.0"))
    assert value_of("double('nan') == double('nan')") is False


@pytest.mark.parametrize(("source", "text"), [
    ("1 / 0", "division by zero"),
    ("1 % 0", "modulus by zero"),
    ("9223372036854775807 + 1", "integer overflow"),
    ("-9223372036854775808 - 1", "integer overflow"),
    ("-(-9223372036854775808)", "integer overflow"),
    ("0u - 1u", "unsigned integer overflow"),
    ("int(1e99)", "integer overflow"),
    ("x.nope", "no such key: nope"),
    ("m['nope']", "no such key: nope"),
    ("[1][1]", "index out of bounds: 1"),
    ("x.a.b", "no such key: b"),
    ("x.a + 'a'", "no such overload"),
    ("x.b.c > 1", "no such overload"),
    ("x.a ? 1 : 2", "no such overload"),
    ("x.a && true", "no such overload"),
    ("double('nan') < 1.0", "NaN values cannot be ordered"),
    ("'abc'.substring(4)", "index out of range: 4"),
    ("'abc'.substring(2, 1)", "invalid substring range. start: 2, end: 1"),
    ("'abc'.charAt(9)", "index out of range: 9"),
    ("optional.none().value()", "optional.none() dereference"),
    ("[].max()", "max called on empty list"),
    ("int('x')", "type conversion error from 'string' to 'int'"),
    ("timestamp(s)", "type conversion error from 'string' to 'google.protobuf.Timestamp'"),
    ("timestamp(0).getHours('Mars/One')", "unknown time zone Mars/One"),
    ("s.matches('(' + s)", "error parsing regexp: missing closing ): `(hello`"),
    ("s.find('[' + s)", "Illegal regex: error parsing regexp: missing closing ]: `[hello`"),
    ("{s: 1, 'hello': 2}", "Failed with repeated key: hello"),
    ("[1, 1].transformMapEntry(i, v, {v: i})", "insert failed: key 1 already exists"),
    ("quantity('1.5').asInteger()", "cannot convert value to integer"),
    ("[1].all(v, 1 / 0 > v)", "division by zero"),
    ("[1, 2].slice(0, 3)", "cannot slice(0, 3), list is length 2"),
    ("'%d'.format([dyn('x')])",
     "error during formatting: decimal clause can only be used on integers, was given string"),
])  # fmt: skip
def test_an_expression_without_a_value_says_why(source: str, text: str) -> None:
    with pytest.raises(EvaluationError) as raised:
        value_of(source)
    assert str(raised.value) == text


def test_functions_of_lists_on_what_is_none() -> None:
    environment = base().with_variables({"x": types.DYN})
    for source in ("x.distinct()", "x.sort()", "x.sum()", "x.sortBy(y, y)", "x.slice(0, 1)"):
        outcome = compiled(source, environment).program.run({"x": {"": None}})
        assert outcome.error is not None, source
