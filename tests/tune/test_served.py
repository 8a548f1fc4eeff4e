"""The settings of a trial: those in force, the candidate's, and nothing that would disturb it."""

from sonorant.settings import Settings
from sonorant.tune.served import trial_settings


def test_a_trial_serves_one_model_by_itself_with_what_is_tried_on_top_of_what_is_in_force(tmp_path):
    ours = Settings.model_validate(
        {
            "models": ["hibari", "kokoro"],
            "preload": ["kokoro"],
            "server": {"api_keys": ["secret"], "port": 9000},
            "lanes": {"streams": 3, "window_ms": 7.0},
            "networks": {"hibari": {"heart": {"threads": 2}}},
        }
    )
    tried = {"lanes": {"streams": 1}, "networks": {"hibari": {"heart": {"artefact": "slim"}}}}
    found = Settings.model_validate(trial_settings(ours, "hibari", tried, tmp_path))
    assert (list(found.models), found.preload) == (["hibari"], None)
    assert (found.server.port, list(found.server.api_keys)) == (0, [])
    assert (found.lanes.streams, found.lanes.window_ms) == (1, 7.0)
    heart = found.networks["hibari"]["heart"]
    assert (heart.threads, heart.artefact) == (2, "slim")
    assert found.cache.where == "off"
    assert ours.preload is not None, "those in force stay as they are"
