from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamenco.expressions import BadExpression, Function, evaluate

SCENE = SimpleNamespace(
    frame_start=1,
    frame_end=250,
    name="Scene",
    render=SimpleNamespace(fps=24, fps_base=1.001),
    bl_rna="Blender's inner workings",
    rna_type="Blender's inner workings",
    _hidden="Python's",
)


def scene_names() -> dict[str, object]:
    context = SimpleNamespace(scene=SCENE, copy=lambda: "ran")
    path = SimpleNamespace(abspath=Function(lambda path: f"/project/{path.lstrip('/')}"))
    data = SimpleNamespace(window_managers=["with the clipboard"])
    return {"C": context, "bpy": SimpleNamespace(context=context, path=path, data=data)}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("f'{C.scene.frame_start}-{C.scene.frame_end}'", "1-250"),
        ("f'{C.scene.frame_start:04d}'", "0001"),
        ("round(C.scene.render.fps / C.scene.render.fps_base, 2)", 23.98),
        ("bpy.path.abspath('//frames/')", "/project/frames/"),
        ("C.scene.frame_end - C.scene.frame_start + 1", 250),
        ("'still' if C.scene.frame_start == C.scene.frame_end else 'animation'", "animation"),
        ("C.scene.name.lower().replace('s', 'z')", "zcene"),
        ("0 < C.scene.frame_start <= 1 and not C.scene.name == 'x'", True),
        ("C.scene.name in {'Scene', 'Other'} or 1 / 0", True),
        ("str(Path('/a') / 'b' / f'{C.scene.name}.png')", "/a/b/Scene.png"),
        ("[3, 4, 5][-1] + (1, 2)[0]", 6),
        ("'abcdef'[1:3]", "bc"),
        ("max(C.scene.frame_start, 7) % 4", 3),
    ],
)
def test_what_job_types_need_can_be_computed(source: str, value: object) -> None:
    assert evaluate(source, scene_names()) == value


@pytest.mark.parametrize(
    "source",
    [
        "__import__('os').system('true')",
        "().__class__.__bases__[0].__subclasses__()",
        "C.scene.__class__",
        "C.copy()",
        "C.copy",
        "open('/etc/passwd').read()",
        "[x for x in (1, 2)]",
        "(lambda: 1)()",
        "(x := 1)",
        "'{0.__class__}'.format(C)",
        "'%s' % C",
        "C.scene.bl_rna",
        "C.scene.rna_type",
        "C.scene._hidden",
        "bpy.data.window_managers",
        "9 ** 9 ** 9",
        "'a' * 10000000000",
        "[0] * 10000000000",
        "f'{C!r}'",
        "1 << 99999999",
        "str(C.scene, errors='x')",
        "import os",
        "unknown",
        "C.scene.nothing",
        "1 / 0",
        "(" * 500 + ")" * 500,
        "-" * 900 + "1" + "x" * 200,
        "bpy.path.abspath.call('x')",
        "round(1, -1000000000)",
    ],
)
def test_anything_else_is_refused_with_a_reason(source: str) -> None:
    with pytest.raises(BadExpression, match=r"\w"):
        evaluate(source, scene_names())


def test_a_format_cannot_fill_the_memory() -> None:
    with pytest.raises(BadExpression, match="a format that is not allowed"):
        evaluate("f'{1:99999d}'", {})


@given(st.text(alphabet="C.scene()[]{}'f0123456789+-*/%<>=!:, ifelsandort_", max_size=60))
def test_whatever_the_server_writes_ends_in_a_value_or_a_refusal(source: str) -> None:
    try:
        value = evaluate(source, scene_names())
    except BadExpression:
        return
    assert not callable(value) or isinstance(value, Function)
