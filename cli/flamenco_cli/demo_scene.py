"""Build the scene of ``flamenco demo``: a flower that opens for ever, like the skirt of a dancer who turns.

Run by Blender: ``blender -b --factory-startup --python demo_scene.py -- OUT.blend`` (3.4 or later, or ``bpy``), so it
keeps to Python 3.10, the standard library and ``bpy``. Equal every time: nothing in it is left to chance.

Made to be clean with few samples and no denoiser: light comes from one small sun and from the materials themselves,
reflections are sharp, and no ray is scattered twice; so what the samples have to smooth is the edges.
"""

import math
import sys
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import bpy

WIDTH, HEIGHT = 480, 270
FRAMES = 24
FRAMES_PER_SECOND = 12
SAMPLES = 4
THREADS = 1
"""Frames render side by side in the slots of a machine, each on one core."""

FLOOR = -0.3
PETALS = 150
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
PASSED_ON = 13
"""In one loop each petal takes the place of the one so many further out. A Fibonacci number: those two point in nearly
the same direction, so petals flow outwards and hardly turn, and after the last frame comes the first."""
SHARE_OF_A_TURN = math.remainder(PASSED_ON * GOLDEN_ANGLE, 2 * math.pi)

Colour = tuple[float, float, float, float]
Stops = list[tuple[float, Colour]]
BLOOM: Stops = [
    (0.00, (1.00, 0.62, 0.10, 1)),
    (0.14, (1.00, 0.30, 0.07, 1)),
    (0.42, (0.95, 0.06, 0.10, 1)),
    (0.75, (0.62, 0.01, 0.16, 1)),
    (1.00, (0.22, 0.00, 0.16, 1)),
]
"""The colour of a petal, from the heart (0) to the rim (1) of the flower."""
HEART: Colour = (0.16, 0.0, 0.03, 1)
"""What shows between the petals."""
SKY: Stops = [
    (0.00, (0.006, 0.008, 0.024, 1)),
    (0.25, (0.10, 0.02, 0.07, 1)),
    (0.60, (0.75, 0.25, 0.20, 1)),
    (1.00, (1.0, 0.85, 0.75, 1)),
]
"""The sky, from the horizon to the zenith."""
POOL: Stops = [(0.0, (0.00, 0.16, 0.20, 1)), (0.62, (0.0, 0.006, 0.020, 1))]
"""The floor, from under the flower outwards."""


@dataclass(frozen=True)
class Pose:
    """Where a petal is: position and size in metres, angles in radians."""

    position: tuple[float, float, float]
    lean: float
    heading: float
    size: float


def opening(share: float) -> float:
    """Tell how far the flower is open when ``share`` of the loop has passed: 0 is a bud, 1 full bloom."""
    return 0.5 - 0.5 * math.cos(2 * math.pi * share)


def pose(place: float, heading: float, is_open: float) -> Pose:
    """Tell how a petal stands at ``place``, from 0 (the heart) to 1 (the rim, where it fades away)."""
    radius = (0.45 + 1.30 * is_open) * place**0.62
    height = 0.75 * (1 - place) ** 1.2 + (1 - is_open) * (FLOOR + 0.25 * (1 - place))
    lean = math.radians((98 * place**0.7) * (0.28 + 0.72 * is_open) - 6)
    grown = _smooth(place / 0.35)
    size = (0.42 + 0.62 * grown) * _smooth(place / 0.035) * _smooth((1 - place) / 0.10)
    return Pose((radius * math.sin(heading), -radius * math.cos(heading), height), lean, heading, size)


def colour_at(place: float) -> Colour:
    """Blend the colours of BLOOM at ``place`` between heart and rim."""
    for (before, low), (after, high) in pairwise(BLOOM):
        if place <= after:
            share = (place - before) / (after - before)
            red, green, blue = (start + (end - start) * share for start, end in zip(low[:3], high[:3], strict=True))
            return red, green, blue, 1.0
    return BLOOM[-1][1]


def petal_mesh(rows: int = 14, columns: int = 10) -> Any:
    """Make one petal: its foot at the origin, growing along +Z, hollow towards +Y, its rim in soft waves."""
    vertices = [
        _petal_vertex(1 - (1 - row / rows) ** 1.6, 2 * column / columns - 1)
        for row in range(rows + 1)
        for column in range(columns + 1)
    ]
    return _smooth_mesh("Petal", vertices, _quads(rows, columns + 1, columns))


def dome_mesh(rings: int = 8, spokes: int = 24) -> Any:
    """Make the upper half of a ball of radius 1: between petals one sees it, and not the floor."""
    levels = [math.pi / 2 * ring / rings for ring in range(rings + 1)]
    angles = [2 * math.pi * spoke / spokes for spoke in range(spokes)]
    vertices = [
        (math.cos(level) * math.cos(angle), math.cos(level) * math.sin(angle), math.sin(level))
        for level in levels
        for angle in angles
    ]
    return _smooth_mesh("Dome", vertices, _quads(rings, spokes, spokes))


def _petal_vertex(along: float, across: float) -> tuple[float, float, float]:
    """Tell where a point of the petal is: ``along`` from foot (0) to tip (1), ``across`` from -1 to 1."""
    half_width = 0.03 + 0.40 * math.sin(math.pi * along**0.75) ** 0.62
    cup = 0.50 * half_width * across**2
    curl = -0.30 * along**3
    ripple = 0.02 * along * math.sin(7 * across + 1) * abs(across)
    return half_width * across, cup + curl + ripple, along


def petal_material() -> Any:
    """Make the petals' glaze: their own colour, brighter towards the tip, with a sky painted on it as reflection.

    A true reflection would need many samples: Cycles follows either the light of the body or that of the coat.
    """
    material, nodes = _new_material("Petal")
    colour = nodes.add("ShaderNodeObjectInfo").outputs["Color"]
    position = nodes.add("ShaderNodeTexCoord")
    along = nodes.part(position.outputs["Generated"], "Z")
    shade = nodes.ramp(along, [(0.05, _grey(0.05)), (0.5, _grey(0.34)), (1.0, _grey(0.95))])
    facing = nodes.add("ShaderNodeLayerWeight")
    facing.inputs["Blend"].default_value = 0.18
    sky = nodes.ramp(nodes.part(position.outputs["Reflection"], "Z"), SKY)
    sheen = nodes.combine("MULTIPLY", sky, facing.outputs["Fresnel"])
    glow = nodes.combine("ADD", nodes.combine("MULTIPLY", colour, shade), sheen)
    nodes.finish(nodes.sum(nodes.shader("ShaderNodeEmission", glow), nodes.shader("ShaderNodeBsdfDiffuse", colour)))
    return material


def floor_material() -> Any:
    """Make the floor: a pool of light on dark lacquer, which mirrors the flower."""
    material, nodes = _new_material("Floor")
    distance = nodes.add("ShaderNodeVectorMath")
    distance.operation = "LENGTH"
    nodes.link(nodes.add("ShaderNodeTexCoord").outputs["Object"], distance.inputs[0])
    pool = nodes.ramp(distance.outputs["Value"], POOL)
    mirror = nodes.shader("ShaderNodeBsdfGlossy", None)
    mirror.inputs["Color"].default_value = (0.05, 0.14, 0.20, 1.0)
    mirror.inputs["Roughness"].default_value = 0.0
    nodes.finish(nodes.sum(nodes.shader("ShaderNodeEmission", pool), mirror))
    return material


def build_world(scene: Any) -> None:
    """Surround the flower with a sky that only the camera and mirrors see: light of it would be noise."""
    world = bpy.data.worlds.new("Dusk")
    scene.world = world
    nodes = Nodes(world)
    height = nodes.part(nodes.add("ShaderNodeTexCoord").outputs["Generated"], "Z")
    nodes.finish(nodes.shader("ShaderNodeBackground", nodes.ramp(height, SKY)))
    world.cycles_visibility.diffuse = False
    world.cycles.sampling_method = "NONE"


class Nodes:
    """The node tree of a material or a world, emptied."""

    def __init__(self, owner: Any) -> None:
        if owner.node_tree is None:  # never so since Blender 5.0, which warns of use_nodes
            owner.use_nodes = True
        self._tree = owner.node_tree
        self._tree.nodes.clear()
        self._output = "ShaderNodeOutputWorld" if isinstance(owner, bpy.types.World) else "ShaderNodeOutputMaterial"

    def add(self, kind: str) -> Any:
        """Add a node."""
        return self._tree.nodes.new(kind)

    def link(self, source: Any, target: Any) -> None:
        """Connect an output with an input."""
        self._tree.links.new(source, target)

    def part(self, vector: Any, axis: str) -> Any:
        """Take one component of a vector."""
        node = self.add("ShaderNodeSeparateXYZ")
        self.link(vector, node.inputs[0])
        return node.outputs[axis]

    def ramp(self, value: Any, stops: Stops) -> Any:
        """Turn values from 0 to 1 into colours."""
        node = self.add("ShaderNodeValToRGB")
        node.color_ramp.interpolation = "EASE"
        elements = node.color_ramp.elements
        for _ in stops[2:]:
            elements.new(1.0)
        for element, (position, colour) in zip(elements, stops, strict=True):
            element.position, element.color = position, colour
        self.link(value, node.inputs["Fac"])
        return node.outputs["Color"]

    def combine(self, operation: str, first: Any, second: Any) -> Any:
        """Calculate with two colours, part by part."""
        node = self.add("ShaderNodeVectorMath")
        node.operation = operation
        self.link(first, node.inputs[0])
        self.link(second, node.inputs[1])
        return node.outputs["Vector"]

    def shader(self, kind: str, colour: Any) -> Any:
        """Add a shader of a colour."""
        node = self.add(kind)
        if colour is not None:
            self.link(colour, node.inputs["Color"])
        return node

    def sum(self, first: Any, second: Any) -> Any:
        """Add two shaders."""
        node = self.add("ShaderNodeAddShader")
        self.link(first.outputs[0], node.inputs[0])
        self.link(second.outputs[0], node.inputs[1])
        return node

    def finish(self, shader: Any) -> None:
        """Make a shader the surface."""
        self.link(shader.outputs[0], self.add(self._output).inputs["Surface"])


def _new_material(name: str) -> tuple[Any, Nodes]:
    material = bpy.data.materials.new(name)
    if hasattr(material.cycles, "emission_sampling"):  # since Blender 3.5
        material.cycles.emission_sampling = "NONE"
    else:
        material.cycles.sample_as_light = False
    return material, Nodes(material)


def _grey(level: float) -> Colour:
    return level, level, level, 1.0


def build_flower(scene: Any) -> None:
    """Add the petals and let them flow outwards, each to the place of the one PASSED_ON further."""
    glaze = petal_material()
    mesh = petal_mesh()
    mesh.materials.append(glaze)
    core = _add(scene, "Core", dome_mesh())
    core.data.materials.append(glaze)
    core.color, core.location.z = HEART, FLOOR
    for frame in range(1, FRAMES + 1):
        is_open = opening((frame - 1) / FRAMES)
        core.scale = (0.25 + 0.90 * is_open, 0.25 + 0.90 * is_open, 0.95)
        core.keyframe_insert("scale", frame=frame)
    for number in range(-PASSED_ON, PETALS):  # those below 0 wait in the heart, and open during the loop
        petal = _add(scene, f"Petal {number + PASSED_ON:03}", mesh)
        for frame in range(1, FRAMES + 1):
            _set_petal(petal, number, (frame - 1) / FRAMES)
            for path in ("location", "rotation_euler", "scale", "color"):
                petal.keyframe_insert(path, frame=frame)


def _add(scene: Any, name: str, data: Any) -> Any:
    """Add an object. Its glow lights no other, which would be noise."""
    added = bpy.data.objects.new(name, data)
    added.visible_diffuse = False
    scene.collection.objects.link(added)
    return added


def _set_petal(petal: Any, number: int, share: float) -> None:
    """Put a petal where it is when ``share`` of the loop has passed."""
    place = min(max((number + PASSED_ON * share) / PETALS, 0.0), 1.0)
    stands = pose(place, number * GOLDEN_ANGLE + share * SHARE_OF_A_TURN, opening(share))
    petal.location = stands.position
    petal.rotation_euler = (stands.lean, 0.0, stands.heading)
    petal.scale = (stands.size,) * 3
    petal.color = colour_at(place)


def build_surroundings(scene: Any) -> None:
    """Add floor, sun and camera."""
    floor_mesh = bpy.data.meshes.new("Floor")
    floor_mesh.from_pydata([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], [], [(0, 1, 2, 3)])
    floor_mesh.materials.append(floor_material())
    floor = _add(scene, "Floor", floor_mesh)
    floor.location.z, floor.scale = FLOOR, (9, 9, 1)
    sun = _add(scene, "Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy, sun.data.angle, sun.data.color = 3.3, math.radians(1), (1.0, 0.93, 0.86)
    sun.data.cycles.use_multiple_importance_sampling = False
    sun.rotation_euler = (math.radians(38), math.radians(18), math.radians(-35))
    camera = _add(scene, "Camera", bpy.data.cameras.new("Camera"))
    camera.data.lens = 50
    scene.camera = camera
    for frame in range(1, FRAMES + 1):
        _set_camera(camera, opening((frame - 1) / FRAMES))
        for path in ("location", "rotation_euler"):
            camera.keyframe_insert(path, frame=frame)


def _set_camera(camera: Any, is_open: float) -> None:
    """Look at the bud from the side and close by, into the open flower from above and further off."""
    tilt = math.radians(66 - 16 * is_open)
    distance = 7.3 + 3.6 * is_open
    height = 0.42 - 0.37 * is_open
    camera.location = (0.0, -distance * math.sin(tilt), height + distance * math.cos(tilt))
    camera.rotation_euler = (tilt, 0.0, 0.0)


def set_up_render(scene: Any) -> None:
    """Say how frames are rendered."""
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = WIDTH, HEIGHT, 100
    render.fps = FRAMES_PER_SECOND
    render.threads_mode, render.threads = "FIXED", THREADS
    render.image_settings.file_format = "PNG"
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.view_settings.view_transform = "Standard"
    cycles.device, cycles.samples, cycles.seed = "CPU", SAMPLES, 0
    cycles.use_denoising = cycles.use_adaptive_sampling = False
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 1, 0, 1
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.pixel_filter_type = "BLACKMAN_HARRIS"


def main(path: str) -> None:
    """Build the scene and save it, uncompressed: equal contents then make equal files to send."""
    for data in (
        bpy.data.objects,
        bpy.data.meshes,
        bpy.data.materials,
        bpy.data.worlds,
        bpy.data.lights,
        bpy.data.cameras,
    ):
        for thing in list(data):
            data.remove(thing)
    scene = bpy.context.scene
    set_up_render(scene)
    build_world(scene)
    build_surroundings(scene)
    build_flower(scene)
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=False)


def _quads(rows: int, width: int, columns: int) -> list[tuple[int, int, int, int]]:
    """Tell the corners of the faces of a grid that has ``width`` vertices in a row.

    As many columns as vertices close it to a ring.
    """
    return [
        (row + column, row + (column + 1) % width, row + width + (column + 1) % width, row + width + column)
        for row in range(0, rows * width, width)
        for column in range(columns)
    ]


def _smooth_mesh(name: str, vertices: list[tuple[float, float, float]], faces: list[tuple[int, int, int, int]]) -> Any:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices, [], faces)
    mesh.polygons.foreach_set("use_smooth", [True] * len(faces))
    return mesh


def _smooth(share: float) -> float:
    """Ease from 0 to 1."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


if __name__ == "__main__":
    main(sys.argv[sys.argv.index("--") + 1])
