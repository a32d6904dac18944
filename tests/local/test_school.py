"""The sample school: as many as the story says, and each person reachable."""

from local import school


def test_there_are_as_many_people_as_the_story_says_and_no_two_share_an_address() -> None:
    people = school.people()
    assert len(people) == school.PEOPLE
    assert len({person.mail_address for person in people}) == school.PEOPLE


def test_addresses_are_plain_and_lead_nowhere_outside_the_machine() -> None:
    for person in school.people():
        assert person.mail_address.isascii()
        assert person.mail_address.endswith("@school.example")  # RFC 2606: never delivered


def test_some_people_read_english_and_most_french() -> None:
    locales = [person.locale for person in school.people()]
    assert set(locales) == {"fr", "en"}
    assert locales.count("fr") > locales.count("en")


def test_there_are_fewer_licences_than_devices_so_that_somebody_waits() -> None:
    assert school.IPADS < school.APP_LICENSES < school.IPADS + school.MACS
