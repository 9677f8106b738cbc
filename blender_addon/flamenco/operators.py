"""What the artist, or a script, can do."""

import json
import platform
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import bpy

from .job_types import JobType
from .preferences import connect, current_connection
from .problems import Problem
from .properties import (
    SESSION,
    change_setting,
    chosen_job_type,
    current_job_name,
    evaluate_linked,
    reset_setting,
)
from .scene_defaults import BLEND_FILE_KEY
from .sending import Copy, JobToSend, Sending, check_copy
from .server_client import ServerClient
from .session import Farm
from .setting_values import changes_for, resolve, values_to_send

Result = set[str]
DONE: Result = {"FINISHED"}
NOTHING_DONE: Result = {"CANCELLED"}


class RenderOnFlamenco(bpy.types.Operator):
    """Send this file to the farm, and follow the job in the panel. Your file itself is not touched"""

    bl_idname = "flamenco.render_on_flamenco"
    bl_label = "Render on Flamenco"

    job_type: bpy.props.StringProperty(options={"SKIP_SAVE"})  # type: ignore[valid-type]
    job_name: bpy.props.StringProperty(options={"SKIP_SAVE"})  # type: ignore[valid-type]
    settings: bpy.props.StringProperty(  # type: ignore[valid-type]
        description="Settings to change first, as JSON; for scripts", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """One job is sent at a time."""
        return SESSION.doing is None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        """Begin, and return at once: a timer does the rest."""
        try:
            connection = current_connection()
            if SESSION.farm is None:
                connect()
            save = self._prepared(context.scene)
            SESSION.send(connection, save, Path(bpy.app.tempdir))
        except Problem as problem:
            SESSION.problem = problem
            self.report({"ERROR"}, str(problem))
            return NOTHING_DONE
        return DONE

    def execute(self, context: bpy.types.Context) -> Result:
        """Do it all before returning, for scripts; an error is raised as RuntimeError by Blender."""
        try:
            client = ServerClient(current_connection())
            SESSION.farm = Farm(client.host, client.job_types(), client.workers())
            job = Sending(client, self._prepared(context.scene)()).run()
        except Problem as problem:
            self.report({"ERROR"}, str(problem))
            return NOTHING_DONE
        context.window_manager.flamenco_job_id = job["id"]
        self.report({"INFO"}, f"Flamenco job {job['id']}")
        return DONE

    def _prepared(self, scene: bpy.types.Scene) -> "Callable[[], JobToSend]":
        """Settle what will be sent. Returns the function that saves the copy and completes the job. Raises Problem."""
        if self.job_type:
            scene.flamenco.chosen_type = self.job_type
        job_type = chosen_job_type(scene)
        if job_type is None:
            raise Problem("The Server has not told its job types yet. Try again in a moment.")
        if self.job_type and job_type.name != self.job_type:
            names = ", ".join(item.name for item in SESSION.farm.job_types) if SESSION.farm else ""
            raise Problem(f"The Server has no job type {self.job_type}. It has {names}.")
        if self.job_name:
            scene.flamenco.job_name = self.job_name
        self._change_settings(scene, job_type)
        linked = evaluate_linked(scene, job_type)
        resolved = resolve(job_type, changes_for(scene.flamenco.changes, job_type), linked)
        values = values_to_send(resolved)
        told = {"blender": bpy.app.version_string, "platform": platform.system().lower()}
        unsent = JobToSend(current_job_name(scene), job_type, values, metadata=told)
        if BLEND_FILE_KEY not in values:
            return lambda: unsent
        return partial(_with_copy, unsent, str(values[BLEND_FILE_KEY]))

    def _change_settings(self, scene: bpy.types.Scene, job_type: JobType) -> None:
        try:
            given = json.loads(self.settings or "{}")
            items = list(given.items())
        except (ValueError, AttributeError) as error:
            raise Problem(f"The settings are not a JSON object: {error}.") from error
        for key, value in items:
            if job_type.setting(key) is None:
                raise Problem(f"{job_type.name} has no setting {key}.")
            change_setting(scene, job_type, key, value)


def _with_copy(job: JobToSend, manifest_path: str) -> JobToSend:
    """Save the open file elsewhere, as it is now, also if it was never saved. The only step that Blender waits for."""
    folder = Path(tempfile.mkdtemp(prefix="flamenco-", dir=bpy.app.tempdir or None))
    file = folder / manifest_path
    try:
        # Relative paths stay as the artist has them: the job's folder is laid out like the artist's own.
        bpy.ops.wm.save_as_mainfile(filepath=str(file), copy=True, check_existing=False, relative_remap=False)
        check_copy(file)
    except (RuntimeError, Problem) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise error if isinstance(error, Problem) else Problem(f"No copy could be saved: {error}") from error
    return JobToSend(job.name, job.job_type, job.settings, Copy(file, manifest_path), job.metadata)


class StopSending(bpy.types.Operator):
    """Stop sending; no job is made"""

    bl_idname = "flamenco.stop_sending"
    bl_label = "Stop Sending"

    def execute(self, context: bpy.types.Context) -> Result:
        """Ask for it; the next step of sending obeys."""
        SESSION.stop_sending()
        return DONE


class CancelJob(bpy.types.Operator):
    """Cancel this job on the farm. Frames that are done stay"""

    bl_idname = "flamenco.cancel_job"
    bl_label = "Cancel Job"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There is something to cancel."""
        return SESSION.job is not None and SESSION.job.can_be_cancelled

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        """Ask first."""
        return set(context.window_manager.invoke_props_dialog(self, width=360))

    def draw(self, context: bpy.types.Context) -> None:
        """Say what would be lost."""
        if SESSION.job is not None:
            self.layout.label(text=f"Cancel {SESSION.job.name}? {SESSION.job.sentence}.", icon="QUESTION")
            self.layout.label(text="Frames that are done stay.", icon="BLANK1")

    def execute(self, context: bpy.types.Context) -> Result:
        """Ask the Server, in the background."""
        SESSION.cancel_job()
        return DONE


class ResetSetting(bpy.types.Operator):
    """You changed this. Click to have its own value again"""

    bl_idname = "flamenco.reset_setting"
    bl_label = "Reset Setting"
    bl_options = {"UNDO", "INTERNAL"}

    key: bpy.props.StringProperty()  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> Result:
        """Drop the change."""
        job_type = chosen_job_type(context.scene)
        if job_type is None:
            return NOTHING_DONE
        reset_setting(context.scene, job_type, self.key)
        return DONE


class Refresh(bpy.types.Operator):
    """Ask the Server again for its job types and Workers"""

    bl_idname = "flamenco.refresh"
    bl_label = "Refresh"

    def execute(self, context: bpy.types.Context) -> Result:
        """Ask, in the background."""
        connect()
        return DONE


class TestConnection(bpy.types.Operator):
    """See whether the Server answers, and whether it knows the token"""

    bl_idname = "flamenco.test_connection"
    bl_label = "Test Connection"

    def execute(self, context: bpy.types.Context) -> Result:
        """Ask, in the background; the line beside the button says what came of it."""
        SESSION.farm = None
        connect()
        return DONE


class CopyDetails(bpy.types.Operator):
    """Copy what is known of this problem, for whoever helps you"""

    bl_idname = "flamenco.copy_details"
    bl_label = "Copy Details"

    def execute(self, context: bpy.types.Context) -> Result:
        """Put the details on the clipboard."""
        if SESSION.problem is not None:
            context.window_manager.clipboard = f"{SESSION.problem}\n\n{SESSION.problem.details}"
        return DONE


class DismissProblem(bpy.types.Operator):
    """Do not show this any more"""

    bl_idname = "flamenco.dismiss_problem"
    bl_label = "Dismiss"

    def execute(self, context: bpy.types.Context) -> Result:
        """Forget the problem."""
        SESSION.forget_problem()
        return DONE


CLASSES = (
    RenderOnFlamenco,
    StopSending,
    CancelJob,
    ResetSetting,
    Refresh,
    TestConnection,
    CopyDetails,
    DismissProblem,
)


def register() -> None:
    """Add the operators."""
    for operator in CLASSES:
        bpy.utils.register_class(operator)


def unregister() -> None:
    """Take the operators away."""
    for operator in reversed(CLASSES):
        bpy.utils.unregister_class(operator)
