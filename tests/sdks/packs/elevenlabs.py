"""The ElevenLabs pack's tools, as calls of elevenlabs."""

import os

from elevenlabs import ElevenLabs

from . import given

CLIENT = ElevenLabs(api_key=os.environ["ELEVENLABS_API_KEY"])


def create_speech(args):
    # The sound comes as it is read.
    list(CLIENT.text_to_speech.convert(args["voice_id"], **given(args, "text", "model_id")))


CALLS = {
    "elevenlabs.voices.list": lambda args: CLIENT.voices.get_all(),
    "elevenlabs.textToSpeech.create": create_speech,
}
