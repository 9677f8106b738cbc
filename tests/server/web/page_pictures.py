"""Small pictures for the page to show: balls that bounce over a chequered floor, 24 frames to a round."""

import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import OpenImageIO

WIDTH, HEIGHT = 512, 288
FAR = 1e9
SUN = np.array([-0.52, 0.72, -0.46])
COLOURS = np.array([[0.90, 0.28, 0.16], [0.95, 0.62, 0.16], [0.16, 0.38, 0.75]])


@lru_cache(maxsize=512)
def jpeg(frame: int, look: int = 0) -> bytes:
    """Draw one frame as a JPEG; ``look`` turns the colours, so that two jobs do not look the same."""
    x, y = np.meshgrid(np.linspace(-1.6, 1.6, WIDTH), np.linspace(0.9, -0.9, HEIGHT))
    rays = np.dstack([x, y - 0.12, np.full_like(x, 1.9)])
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    balls, colours = _balls(frame), np.roll(COLOURS, look, axis=1)
    colour = _traced(np.broadcast_to([0.0, 1.0, -4.2], rays.shape), rays, balls, colours, bounces=2)
    return _encoded((np.clip(colour, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8))


def _balls(frame: int) -> np.ndarray:
    """Return x, y, z and radius of each ball."""
    phase = frame / 24 * 2 * np.pi
    heights = np.abs(np.sin(phase / 2 + np.array([0.0, 0.9, 1.9]))) * np.array([1.1, 0.8, 0.6])
    places = np.array([[-1.35, 0.1, 0.75], [0.25, 0.9, 0.6], [1.6, -0.2, 0.5]])
    return np.column_stack([places[:, 0], heights + places[:, 2], places[:, 1], places[:, 2]])


def _traced(origin: np.ndarray, ray: np.ndarray, balls: np.ndarray, colours: np.ndarray, bounces: int) -> np.ndarray:
    distance, hit = _nearest(origin, ray, balls)
    floor = np.where(ray[..., 1] < -1e-4, -origin[..., 1] / np.minimum(ray[..., 1], -1e-4), FAR)
    on_floor = (floor < distance) & (floor < 60)
    distance = np.where(on_floor, floor, distance)
    sky = np.array([0.55, 0.68, 0.85]) * (0.35 + 0.65 * np.clip(1 - ray[..., 1:2], 0, 1))
    is_hit = on_floor | (hit >= 0)
    point = origin + ray * np.where(is_hit, distance, 0)[..., None]
    centre = balls[np.maximum(hit, 0), :3]
    normal = np.where(on_floor[..., None], [0, 1, 0], (point - centre) / balls[np.maximum(hit, 0), 3][..., None])
    chequer = (np.floor(point[..., 0]) + np.floor(point[..., 2])) % 2
    base = np.where(on_floor[..., None], 0.16 + 0.45 * chequer[..., None], colours[np.maximum(hit, 0)])
    sun = SUN / np.linalg.norm(SUN)
    lit = np.clip(normal @ sun, 0, 1) * (_nearest(point + normal * 1e-3, np.broadcast_to(sun, ray.shape), balls)[1] < 0)
    colour = base * (0.22 + 0.95 * lit[..., None])
    mirrored = ray - 2 * np.sum(ray * normal, axis=2, keepdims=True) * normal
    if bounces > 1:
        reflected = _traced(point + normal * 1e-3, mirrored, balls, colours, bounces - 1)
        colour = colour * 0.82 + reflected * np.where(on_floor[..., None], 0.10, 0.20)
    colour = colour + np.where(on_floor, 0, np.clip(mirrored @ sun, 0, 1) ** 60)[..., None] * (lit > 0)[..., None]
    fog = np.clip(distance / 26, 0, 1)[..., None] ** 1.5
    return np.where(is_hit[..., None], colour * (1 - fog) + sky * fog, sky)


def _nearest(origin: np.ndarray, ray: np.ndarray, balls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each ray goes, and the index of the ball that it meets there (-1: none)."""
    best, hit = np.full(ray.shape[:2], FAR), np.full(ray.shape[:2], -1)
    for index, ball in enumerate(balls):
        towards = origin - ball[:3]
        half = np.sum(towards * ray, axis=2)
        root = half**2 - np.sum(towards**2, axis=2) + ball[3] ** 2
        distance = -half - np.sqrt(np.maximum(root, 0))
        nearer = (root > 0) & (distance > 1e-3) & (distance < best)
        best, hit = np.where(nearer, distance, best), np.where(nearer, index, hit)
    return best, hit


def _encoded(pixels: np.ndarray) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frame.jpg"
        image = OpenImageIO.ImageBuf(pixels)
        image.specmod().attribute("Compression", "jpeg:85")
        if not image.write(str(file)):
            raise AssertionError(image.geterror())
        return file.read_bytes()
