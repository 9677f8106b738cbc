"""Job types as the Server describes them in JSON: one for animations, and one with every kind of setting."""

from typing import Any


def a_setting(key: str, kind: str = "string", **members: Any) -> dict[str, Any]:
    """Describe a setting."""
    document = {
        "key": key,
        "type": kind,
        "subtype": None,
        "choices": None,
        "propargs": {},
        "default": None,
        "eval": None,
        "eval_info": None,
        "visibility": "visible",
        "required": False,
        "editable": True,
        "description": f"What {key} is for.",
        "label": key.replace("_", " ").capitalize(),
    }
    return {**document, **members}


def a_job_type(name: str, *settings: dict[str, Any], label: str = "", etag: str = "etag-1") -> dict[str, Any]:
    """Describe a job type."""
    described = {"label": label or name, "description": f"Does {name}.", "etag": etag}
    return {"name": name, **described, "settings": list(settings)}


def linked_to(words: str) -> dict[str, Any]:
    """Describe where an expression takes its value from."""
    return {"description": words, "show_link_button": True}


FRAMES = a_setting(
    "frames",
    eval="f'{C.scene.frame_start}-{C.scene.frame_end}'",
    eval_info=linked_to("The scene's frame range"),
    required=True,
)
OUTPUT = a_setting(
    "render_output_path",
    subtype="hashed_file_path",
    label="Output",
    eval="bpy.path.abspath(C.scene.render.filepath)",
    eval_info=linked_to("The scene's output path"),
    required=True,
)
BLEND_FILE = a_setting("blendfile", subtype="file_path", visibility="web", required=True)

SIMPLE_RENDER = a_job_type(
    "simple-blender-render",
    FRAMES,
    a_setting("chunk_size", "int32", label="Frames per task", default=0, propargs={"min": 0}, visibility="submission"),
    OUTPUT,
    a_setting("format", eval="C.scene.render.image_settings.file_format", choices=["PNG", "JPEG"], visibility="web"),
    a_setting("fps", "float", eval="C.scene.render.fps / C.scene.render.fps_base", visibility="web"),
    a_setting("preview_video", "bool", default=True),
    a_setting("run_scripts", "bool", default=False, eval="C.preferences.filepaths.use_scripts_auto_execute"),
    a_setting("scene", eval="C.scene.name", default="", visibility="web"),
    BLEND_FILE,
    label="Animation",
)

EVERY_SETTING = a_job_type(
    "every-kind-of-setting",
    FRAMES,
    a_setting("title", default="Shot 10"),
    a_setting("notes", default="", description="Whatever the others should know."),
    a_setting("samples", "int32", default=64, propargs={"min": 1, "max": 4096, "soft_max": 512}),
    a_setting("scale", "float", default=0.5, propargs={"min": 0.0, "max": 1.0, "precision": 2}),
    a_setting("denoise", "bool", default=True),
    a_setting("quality", choices=["draft", "good", "best"], default="good"),
    a_setting("tile_size", "int32", choices=[256, 512, 1024], default=512, label="Tile size"),
    OUTPUT,
    a_setting("cache_folder", subtype="dir_path", default="/tmp/cache/"),
    a_setting("sound", subtype="file_path", default="/tmp/sound.wav"),
    a_setting("video_name", subtype="file_name", default="video.mp4"),
    a_setting("fps", "float", eval="C.scene.render.fps / C.scene.render.fps_base", label="Frames per second"),
    a_setting("add_on_version", default="fixed by the farm", editable=False, label="Preset"),
    a_setting("only_on_the_web", visibility="web", default="web"),
    a_setting("never_shown", "int32", visibility="hidden", default=7),
    a_setting("only_when_sending", "bool", visibility="submission", default=False),
    BLEND_FILE,
    label="Every kind of setting",
)
