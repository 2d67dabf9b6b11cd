"""The ways in which the studies of an archive are broken, and what has to become of each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from breaking import (
    BIRTH,
    ENDLESS,
    SEQUENCE_END,
    Good,
    Tag,
    alone,
    attributes,
    backwards,
    beside,
    bomb,
    both,
    circles,
    content,
    cut,
    cut_at,
    deep,
    deflated,
    drop,
    edit,
    eight_bits,
    even,
    every,
    fragments,
    frame,
    half,
    in_place_of_a_slice,
    item,
    linked,
    listening,
    many_elements,
    nested,
    one,
    patched,
    positions,
    put,
    relength,
    renamed,
    rights,
    syntax,
    unreadable_series,
    upper_bits,
    without_pixels,
    zipped,
)
from pydicom import uid

ROW, NOTHING = "a right row", "nothing"


@dataclass(frozen=True)
class Way:
    """One way to break a study.

    Attributes:
        name: of the folder and of the test.
        ends: `ROW`, for a row whose voxels are as if nothing were broken; the code of a refusal; or `NOTHING`, where no
            study was.
        change: what is done to the study before it is written.
        after: what is done to the folder then.
        settings: of the scan.
        lines: codes of lines for single files, beside a row.
        noted: codes of what was repaired or noted, in a row.
    """

    name: str
    ends: str
    change: Callable[[Good], object] = lambda good: None
    after: Callable[[Path], object] = lambda folder: None
    settings: dict = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()


JPEG_LS, RLE, JPEG_2000 = ({"syntax": name} for name in (uid.JPEGLSLossless, uid.RLELossless, uid.JPEG2000Lossless))
UNSIGNED = {"signed": False, "intercept": -1024}
SIZE_2000, SIZE_LS = b"\xff\x4f\xff\x51", b"\xff\xf7"
WIDE, HUGE = b"\0\0\xff\xdc", "9" * 400

FILES = [
    Way("empty_slice", "ENC_EMPTY", one(content(b""))),
    Way("every_slice_empty", "ENC_EMPTY", every(content(b""))),
    Way("cut_in_preamble", "ENC_NOT_DICOM", one(edit(lambda data: data[:60]))),
    Way("cut_after_preamble", "ENC_TRUNCATED", one(edit(lambda data: data[:132]))),
    Way("cut_in_meta", "ENC_TRUNCATED", one(edit(lambda data: data[:200]))),
    Way("cut_before_uids", "ENC_TRUNCATED", one(cut_at(Tag.STUDY))),
    Way("every_slice_cut_before_uids", "ENC_TRUNCATED", every(cut_at(Tag.STUDY))),
    Way("cut_after_uids", "ENC_TRUNCATED", one(cut_at(Tag.POSITION))),
    Way("cut_within_an_element", "ENC_TRUNCATED", one(cut_at(Tag.POSITION, 11))),
    Way("cut_before_pixels", "ENC_TRUNCATED", one(cut_at(Tag.PIXELS))),
    Way("cut_in_pixel_length", "ENC_TRUNCATED", one(cut_at(Tag.PIXELS, 10))),
    Way("cut_in_pixels", "ENC_TRUNCATED", one(cut_at(Tag.PIXELS, 300))),
    Way("cut_by_one_byte", "ENC_TRUNCATED", one(edit(lambda data: data[:-1]))),
    Way(
        "every_slice_cut_differently",
        "ENC_TRUNCATED",
        lambda good: [cut(0.2 + 0.1 * at)(slice_) for at, slice_ in enumerate(good.slices)],
    ),
    Way("zeros", "ENC_NOT_DICOM", one(edit(lambda data: bytes(len(data))))),
    Way("noise", "ENC_NOT_DICOM", one(content(bytes(range(250, 3, -1)) * 9))),
    Way("text_named_dcm", "ENC_NOT_DICOM", one(content(b"Dear colleague, thank you for Erika Musterfrau. " * 20))),
    Way("web_page_named_dcm", "ENC_NOT_DICOM", one(content(b"<html>404 Not Found</html>"))),
    Way("bytes_behind_the_end", ROW, one(edit(lambda data: data + b"trailing"))),
    Way("no_preamble", ROW, every(attributes(preamble=b"")), noted=("ENC_NO_META",)),
    Way("no_preamble_and_no_meta", ROW, every(attributes(preamble=b"", meta={})), noted=("ENC_NO_META",)),
    Way("no_meta", ROW, every(attributes(meta={})), noted=("ENC_NO_META",)),
    Way(
        "preamble_of_a_tiff", ROW, every(attributes(preamble=b"II*\0" + bytes(124) + b"DICM")), noted=("ENC_PREAMBLE",)
    ),
    Way("preamble_of_text", ROW, every(attributes(preamble=b"Musterfrau^Erika".ljust(128) + b"DICM"))),
    Way("meta_length_too_short", ROW, every(attributes(group_length=2))),
    Way("meta_length_too_long", ROW, every(attributes(group_length=100_000))),
    Way("meta_length_absurd", ROW, every(attributes(group_length=ENDLESS))),
    Way("no_suffix", ROW, renamed("IM{:04d}".format)),
    Way("no_suffix_and_one_empty", "ENC_EMPTY", both(renamed("IM{:04d}".format), one(content(b"")))),
    Way("other_suffix", ROW, renamed("{}.1.2.840".format)),
    Way("names_with_newlines", ROW, renamed("a\nb,\"'{}\r.dcm".format)),
    Way("names_with_newlines_refused", "ENC_EMPTY", both(renamed("a\nb,\"'{}\r.dcm".format), every(content(b"")))),
    Way("names_not_utf8", ROW, renamed(lambda at: b"\xff\xfe\xe4%d.dcm" % at)),
    Way(
        "names_not_utf8_refused",
        "VAL_NO_RESCALE",
        both(renamed(lambda at: b"\xff\xfe\xe4%d.dcm" % at), every(drop(Tag.SLOPE))),
    ),
    Way("names_of_255_bytes", ROW, renamed("{:0251d}.dcm".format)),
    Way("names_that_are_formulas", "ENC_EMPTY", both(renamed("=1+{};@SUM(A1).dcm".format), every(content(b"")))),
    Way(
        "names_of_the_patient",
        "VAL_NO_RESCALE",
        both(renamed(f"MUSTERFRAU_Erika_{BIRTH}_{{}}.dcm".format), every(drop(Tag.SLOPE))),
    ),
    Way(
        "names_of_an_unknown_patient",
        "ENC_EMPTY",
        both(renamed(f"MUSTERFRAU^ERIKA {BIRTH} {{}}.dcm".format), every(content(b""))),
    ),
    Way("link_to_nothing", "ENC_UNREADABLE", after=in_place_of_a_slice(lambda path: path.symlink_to("gone"))),
    Way("link_to_itself", "ENC_UNREADABLE", after=in_place_of_a_slice(lambda path: path.symlink_to(path.name))),
    Way("link_to_a_slice", ROW, after=linked),
    Way("pipe", "ENC_UNREADABLE", after=in_place_of_a_slice(os.mkfifo)),
    Way("socket", "ENC_UNREADABLE", after=in_place_of_a_slice(listening)),
    Way("device", "ENC_UNREADABLE", after=in_place_of_a_slice(lambda path: path.symlink_to("/dev/zero"))),
    Way("folder_named_dcm", "GEO_MISSING_SLICE", after=in_place_of_a_slice(Path.mkdir)),
    Way("slice_without_rights", "ENC_UNREADABLE", after=rights(0, "003.dcm")),
    Way("every_slice_without_rights", "ENC_UNREADABLE", after=rights(0, *(f"{at:03d}.dcm" for at in range(7)))),
    Way("folder_without_rights", "ENC_UNREADABLE", after=rights(0)),
    Way("folder_that_is_listed_only", "ENC_UNREADABLE", after=rights(0o444)),
    Way("folder_too_deep", "ENC_UNREADABLE", after=deep),
    Way("circles_of_links", ROW, after=circles),
    Way("empty_folder", NOTHING, after=alone([])),
    Way("empty_files_by_the_thousand", "ENC_EMPTY", after=alone([f"{number:04d}.dcm" for number in range(5000)])),
    Way("documents_only", NOTHING, after=alone(["letter.pdf", "notes.txt", "._001.dcm"], b"%PDF-1.4 Erika Musterfrau")),
    Way("a_bomb_in_a_zip_beside", ROW, after=zipped, lines=("ENC_ARCHIVE",)),
    Way("a_series_beside_of_which_nothing_is_left", ROW, after=unreadable_series, lines=("ENC_NOT_DICOM",)),
    Way("other_files_beside", ROW, beside(readme__txt=b"x", Thumbs__db=b"\0" * 99, ___x__dcm=b"\0\5\x16\7")),
]

IDENTITY = [
    Way("no_study_uid", "SER_NO_UID", every(drop(Tag.STUDY))),
    Way("no_series_uid", "SER_NO_UID", every(drop(Tag.SERIES))),
    Way("no_study_uid_in_one_slice", "SER_NO_UID", one(drop(Tag.STUDY))),
    Way("empty_study_uid", "SER_NO_UID", every(put(Tag.STUDY, b""))),
    Way("study_uid_of_text", ROW, every(put(Tag.STUDY, "Musterfrau^Erika 7"))),
    Way("study_uid_of_60000_bytes", ROW, every(put(Tag.STUDY, "1." + "9" * 60_000))),
    Way("no_instance_uid", ROW, every(drop(Tag.INSTANCE))),
    Way("one_instance_uid_for_all", ROW, every(put(Tag.INSTANCE, "1.2.3.4"))),
    Way("no_patient", ROW, every(drop(Tag.NAME, Tag.PATIENT))),
    Way("two_patients", "SER_MIXED_PATIENT", half(put(Tag.PATIENT, "ID-4712-SECRET"))),
    Way("no_class", "SER_NOT_CT", every(drop(Tag.CLASS), lambda slice_: slice_.meta.pop(0x00020002))),
    Way("no_modality", ROW, every(drop(Tag.MODALITY))),
    Way("no_image_type", ROW, every(drop(Tag.IMAGE_TYPE))),
    Way("no_instance_number", ROW, every(drop(Tag.NUMBER))),
    Way("unknown_charset", ROW, every(put(Tag.CHARSET, "ISO_IR Musterfrau", "CS")), noted=("ENC_CHARSET",)),
    Way("name_in_no_charset", ROW, every(put(Tag.NAME, b"M\xfcsterfrau^\xff\xfe\x80\x1b$B"))),
    Way("dates_absurd", ROW, every(put(Tag.STUDY_DATE, "99999999", "DA"))),
    Way("magnetic_resonance", "SER_NOT_CT", every(put(Tag.CLASS, uid.MRImageStorage), put(Tag.MODALITY, "MR"))),
    Way("ultrasound", "SER_NOT_CT", every(put(Tag.CLASS, uid.UltrasoundImageStorage), put(Tag.MODALITY, "US"))),
    Way("localizers_only", "SER_LOCALIZER", every(put(Tag.IMAGE_TYPE, "ORIGINAL\\PRIMARY\\LOCALIZER"))),
    Way("secondary_captures_only", "SER_SECONDARY", every(put(Tag.CLASS, uid.SecondaryCaptureImageStorage))),
    Way("report_only", "SER_DOSE", without_pixels(uid.BasicTextSRStorage, "SR")),
    Way("structures_only", "SER_DOSE", without_pixels(uid.RTStructureSetStorage, "RTSTRUCT")),
    Way("pdf_only", "SER_DOSE", without_pixels(uid.EncapsulatedPDFStorage, "DOC")),
    Way("presentation_state_only", "SER_DOSE", without_pixels(uid.GrayscaleSoftcopyPresentationStateStorage, "PR")),
    Way("index_only", NOTHING, every(lambda slice_: slice_.meta[0x00020002].__init__(b"UI", b"1.2.840.10008.1.3.10"))),
]

STRUCTURE = [
    Way("form_unknown", ROW, every(put(Tag.KVP, "120", "ZZ"))),
    Way("form_lower_case", "ENC_TRUNCATED", every(put(Tag.KVP, "120", "ds"))),
    Way("forms_of_numbers_wrong", ROW, every(put(Tag.ROWS, 32, "SS"), put(Tag.SPACING, "6\\6", "LO"))),
    Way("rows_as_text", "ENC_TOO_MANY_PIXELS", every(put(Tag.ROWS, "32", "IS"))),
    Way("length_of_an_element_too_long", "ENC_TRUNCATED", every(relength(Tag.THICKNESS, 60_000))),
    Way("length_of_an_element_too_short", "SER_NO_UID", every(relength(Tag.KERNEL, 2))),
    Way("length_of_an_element_odd", ROW, every(put(Tag.KERNEL, b"STD", length=3))),
    Way("length_of_pixels_too_long", ROW, one(relength(Tag.PIXELS, 1 << 20))),
    Way("length_of_pixels_too_short", "ENC_TRUNCATED", one(relength(Tag.PIXELS, 100))),
    Way("length_of_pixels_zero", "ENC_TRUNCATED", one(put(Tag.PIXELS, b""))),
    Way("length_of_pixels_4_gib", ROW, one(relength(Tag.PIXELS, ENDLESS - 1))),
    Way("native_pixels_of_unknown_length", "ENC_BAD_PIXELS", one(relength(Tag.PIXELS, ENDLESS))),
    Way("sequence_without_end", "ENC_BAD_SEQUENCE", every(put(Tag.REFERENCED, item(b""), "SQ", ENDLESS))),
    Way("sequence_without_end_behind_the_uids", "ENC_BAD_SEQUENCE", every(put(0x00321064, item(b""), "SQ", ENDLESS))),
    Way("sequence_nested_1000_deep", "ENC_BAD_SEQUENCE", every(put(Tag.REFERENCED, nested(1000), "SQ", ENDLESS))),
    Way("sequence_nested_behind_the_uids", "ENC_BAD_SEQUENCE", every(put(0x00321064, nested(1000), "SQ", ENDLESS))),
    Way(
        "sequence_of_no_items",
        "ENC_BAD_SEQUENCE",
        every(put(Tag.REFERENCED, b"\x08\0\x50\x11UI\4\0" * 9, "SQ", ENDLESS)),
    ),
    Way(
        "sequence_longer_than_the_file", "ENC_TRUNCATED", every(put(Tag.REFERENCED, item(b"", 1 << 30), "SQ", 1 << 30))
    ),
    Way("sequence_with_a_wrong_end", ROW, every(put(Tag.REFERENCED, SEQUENCE_END, "SQ", ENDLESS))),
    Way("elements_backwards", "SER_NO_UID", every(backwards)),
    Way("elements_by_the_100k", ROW, every(many_elements)),
    Way("private_element_of_10_mib", ROW, one(put(0x00091001, bytes(10 << 20), "OB"))),
    Way("deflate_bomb", "ENC_INFLATE_LIMIT", one(deflated(bomb))),
    Way(
        "deflate_of_noise",
        "ENC_BAD_FILE",
        one(deflated(lambda slice_: []), edit(lambda data: data[:-2] + b"\xff" * 99)),
    ),
    Way("deflated_and_cut", "ENC_TRUNCATED", one(deflated(lambda slice_: [slice_.body]), cut(0.9))),
    Way("deflated_as_it_should_be", ROW, every(deflated(lambda slice_: [slice_.body]))),
    Way("syntax_private", "ENC_UNSUPPORTED_TS", every(syntax("1.2.840.113619.5.2"))),
    Way("syntax_unknown", "ENC_UNSUPPORTED_TS", every(syntax("1.2.840.10008.1.2.4.999"))),
    Way("syntax_of_a_film", "ENC_UNSUPPORTED_TS", every(syntax(uid.MPEG2MPML))),
    Way("syntax_empty", ROW, every(syntax(""))),
    Way("syntax_of_text", "ENC_UNSUPPORTED_TS", every(syntax("Musterfrau"))),
    Way("syntax_says_jpeg", "ENC_BAD_PIXELS", every(syntax(uid.JPEGBaseline8Bit))),
    Way("syntax_says_native", "ENC_BAD_PIXELS", every(syntax(uid.ExplicitVRLittleEndian)), settings=JPEG_LS),
    Way("syntax_says_big_endian", "SER_NO_UID", every(syntax(uid.ExplicitVRBigEndian))),
    Way("syntax_says_implicit", "ENC_TRUNCATED", every(syntax(uid.ImplicitVRLittleEndian))),
]

COMPRESSED = [
    Way("lossless", ROW, settings=JPEG_LS),
    Way(
        "no_offset_table", ROW, every(fragments(lambda data: item(b"") + item(even(data)) + SEQUENCE_END)), settings=RLE
    ),
    Way(
        "offset_table_lies",
        ROW,
        every(fragments(lambda data: item(b"\xff\xff\xff\x7f") + item(even(data)) + SEQUENCE_END)),
        settings=RLE,
    ),
    Way(
        "offset_table_longer_than_the_file",
        "ENC_BAD_PIXELS",
        one(fragments(lambda data: item(b"", 1 << 30) + item(even(data)) + SEQUENCE_END)),
        settings=RLE,
    ),
    Way(
        "extended_offset_table",
        ROW,
        every(put(0x7FE00001, bytes(8), "OV"), put(0x7FE00002, b"x" * 8, "OV")),
        settings=RLE,
    ),
    Way(
        "extended_offset_table_only",
        "ENC_TRUNCATED",
        one(drop(Tag.PIXELS), put(0x7FE00001, bytes(8), "OV")),
        settings=RLE,
    ),
    Way("no_end_of_fragments", ROW, every(fragments(lambda data: item(b"") + item(even(data)))), settings=JPEG_LS),
    Way("no_fragments", "ENC_TRUNCATED", one(fragments(lambda data: item(b"") + SEQUENCE_END)), settings=JPEG_LS),
    Way("an_empty_fragment", "ENC_TRUNCATED", one(frame(lambda data: b"")), settings=JPEG_LS),
    Way(
        "fragment_longer_than_the_file",
        "ENC_TRUNCATED",
        one(fragments(lambda data: item(b"") + item(data, 1 << 30) + SEQUENCE_END)),
        settings=JPEG_LS,
    ),
    Way(
        "frame_in_many_fragments",
        ROW,
        every(
            fragments(
                lambda data: (
                    item(b"")
                    + b"".join(item(even(data)[at : at + 20]) for at in range(0, len(data), 20))
                    + SEQUENCE_END
                )
            )
        ),
        settings=JPEG_LS,
    ),
    Way("fragments_are_no_items", "ENC_BAD_PIXELS", one(fragments(lambda data: data * 3)), settings=JPEG_LS),
    Way("rle_header_lies_on_segments", "ENC_BAD_PIXELS", one(frame(lambda data: b"\xff" * 4 + data[4:])), settings=RLE),
    Way(
        "rle_header_lies_on_offsets",
        "ENC_BAD_PIXELS",
        one(frame(lambda data: data[:4] + b"\xff" * 8 + data[12:])),
        settings=RLE,
    ),
    Way("rle_segment_bomb", "ENC_BAD_PIXELS", one(frame(lambda data: data[:64] + b"\x81\0" * 500_000)), settings=RLE),
    Way("rle_cut", "ENC_BAD_PIXELS", one(frame(lambda data: data[:70])), settings=RLE),
    Way("jpeg_of_another_size", "ENC_BAD_PIXELS", every(put(Tag.ROWS, 31)), settings=JPEG_LS),
    Way("jpeg_without_end", "ENC_TRUNCATED", one(frame(lambda data: data.rstrip(b"\0")[:-2])), settings=JPEG_LS),
    Way(
        "jpeg_promises_too_many_lines",
        "ENC_BAD_PIXELS",
        one(frame(patched(SIZE_LS, 5, b"\xff\xdc\xff\xdc"))),
        settings=JPEG_LS,
    ),
    Way("jpeg_of_three_components", "ENC_BAD_PIXELS", one(frame(patched(SIZE_LS, 9, b"\3"))), settings=JPEG_LS),
    Way(
        "jpeg_2000_promises_too_many_lines",
        "ENC_BAD_PIXELS",
        one(frame(patched(SIZE_2000, 8, WIDE + WIDE))),
        settings=JPEG_2000,
    ),
    Way(
        "jpeg_2000_bomb_that_the_header_knows",
        "ENC_TOO_MANY_PIXELS",
        every(frame(patched(SIZE_2000, 8, WIDE + WIDE)), put(Tag.ROWS, 65500), put(Tag.COLUMNS, 65500)),
        settings=JPEG_2000,
    ),
    Way(
        "jpeg_2000_of_4096_lines_in_tiles_of_one",
        "ENC_BAD_PIXELS",
        every(
            frame(
                lambda data: patched(SIZE_2000, 24, b"\0\0\0\1\0\0\0\1")(patched(SIZE_2000, 8, b"\0\0\x10\0" * 2)(data))
            ),
            put(Tag.ROWS, 4096),
            put(Tag.COLUMNS, 4096),
        ),
        settings=JPEG_2000,
    ),
    Way(
        "jpeg_2000_of_16k_components",
        "ENC_BAD_PIXELS",
        one(frame(patched(SIZE_2000, 40, b"\x40\0"))),
        settings=JPEG_2000,
    ),
    Way("jpeg_2000_cut", "ENC_TRUNCATED", one(frame(lambda data: data[: len(data) // 2])), settings=JPEG_2000),
    Way(
        "frame_of_noise", "ENC_BAD_PIXELS", one(frame(lambda data: bytes(range(256)) + b"\xff\xd9")), settings=JPEG_2000
    ),
]

PIXELS = [
    Way("no_pixels", "ENC_TRUNCATED", every(drop(Tag.PIXELS))),
    Way("no_pixels_in_one_slice", "ENC_TRUNCATED", one(drop(Tag.PIXELS))),
    Way("something_else_for_pixels", "ENC_BAD_FILE", one(drop(Tag.PIXELS), put(0x7FE10010, bytes(4096), "OB"))),
    Way("no_rows", "ENC_TRUNCATED", every(drop(Tag.ROWS))),
    Way("rows_zero", "ENC_TRUNCATED", every(put(Tag.ROWS, 0))),
    Way("rows_one", "ENC_BAD_PIXELS", every(put(Tag.ROWS, 1))),
    Way("columns_twice", "ENC_TRUNCATED", every(put(Tag.COLUMNS, 64))),
    Way("columns_empty", "ENC_TRUNCATED", every(put(Tag.COLUMNS, b""))),
    Way("matrix_of_64k", "ENC_TOO_MANY_PIXELS", every(put(Tag.ROWS, 65535), put(Tag.COLUMNS, 65535))),
    Way(
        "matrix_of_100k",
        "ENC_TOO_MANY_PIXELS",
        every(
            put(Tag.ROWS, (100_000).to_bytes(4, "little"), "UL"),
            put(Tag.COLUMNS, (100_000).to_bytes(4, "little"), "UL"),
        ),
    ),
    Way("matrix_of_4096", "ENC_TRUNCATED", every(put(Tag.ROWS, 4096), put(Tag.COLUMNS, 4096))),
    Way("frames_64k", "ENC_TRUNCATED", every(put(Tag.FRAMES, "65535", "IS"))),
    Way("frames_without_end", "ENC_BAD_VALUE", every(put(Tag.FRAMES, HUGE, "IS"))),
    Way("frames_negative", ROW, every(put(Tag.FRAMES, "-1", "IS"))),
    Way("frames_as_text", "ENC_BAD_VALUE", every(put(Tag.FRAMES, "Erika", "IS"))),
    Way(
        "frames_of_an_enhanced_image_64k",
        "SER_MULTIFRAME",
        every(put(Tag.CLASS, uid.EnhancedCTImageStorage), put(Tag.FRAMES, "65535", "IS")),
    ),
    Way("allocated_absent", ROW, every(drop(Tag.ALLOCATED))),
    Way("allocated_8", "VAL_BITS", every(eight_bits)),
    Way("allocated_32", "VAL_BITS", every(put(Tag.ALLOCATED, 32))),
    Way("allocated_64", "VAL_BITS", every(put(Tag.ALLOCATED, 64))),
    Way("allocated_0", "VAL_BITS", every(put(Tag.ALLOCATED, 0))),
    Way("stored_beyond_allocated", "VAL_BITS", every(put(Tag.STORED, 20))),
    Way("stored_1", "VAL_BITS", every(put(Tag.STORED, 1))),
    Way("high_bit_absurd", ROW, every(put(Tag.HIGH_BIT, 99))),
    Way("high_bit_of_shifted_values", "VAL_BITS", every(upper_bits), settings=UNSIGNED),
    Way("sign_absent", "VAL_RANGE", every(drop(Tag.SIGN))),
    Way("sign_absent_where_unsigned", ROW, every(drop(Tag.SIGN)), settings=UNSIGNED),
    Way("sign_7", "VAL_RANGE", every(put(Tag.SIGN, 7))),
    Way("samples_3", "VAL_COLOUR", every(put(Tag.SAMPLES, 3))),
    Way("samples_absent", ROW, every(drop(Tag.SAMPLES))),
    Way("palette", "VAL_COLOUR", every(put(Tag.PHOTOMETRIC, "PALETTE COLOR"))),
    Way("photometric_unknown", "VAL_COLOUR", every(put(Tag.PHOTOMETRIC, "Musterfrau"))),
    Way("photometric_absent", ROW, every(drop(Tag.PHOTOMETRIC))),
    Way("planar_configuration_where_none_is", ROW, every(put(Tag.PLANAR, 9, "US"))),
    Way("float_pixels", "VAL_BITS", every(drop(Tag.PIXELS), put(Tag.FLOAT_PIXELS, bytes(4096), "OF"))),
    Way("window_absurd", ROW, every(put(Tag.CENTER, "1e999", "DS"), put(Tag.WIDTH, "-NaN\\" * 99, "DS"))),
    Way("padding_of_three_bytes", ROW, every(put(Tag.PADDING, b"\1\2\3", "US", 3))),
]

SCALE = [
    Way("slope_absent", "VAL_NO_RESCALE", every(drop(Tag.SLOPE))),
    Way("slope_empty", "VAL_NO_RESCALE", every(put(Tag.SLOPE, b""))),
    Way("slope_0", "VAL_NO_RESCALE", every(put(Tag.SLOPE, "0"))),
    Way("slope_huge", "VAL_RANGE", every(put(Tag.SLOPE, "1e30"))),
    Way("slope_negative", "VAL_NO_RESCALE", every(put(Tag.SLOPE, "-1"))),
    Way("slope_nan", "ENC_BAD_VALUE", every(put(Tag.SLOPE, "NaN"))),
    Way("slope_inf", "ENC_BAD_VALUE", every(put(Tag.SLOPE, "inf"))),
    Way("slope_beyond_floats", "ENC_BAD_VALUE", every(put(Tag.SLOPE, "1e999"))),
    Way("slope_of_400_digits", "ENC_BAD_VALUE", every(put(Tag.SLOPE, HUGE))),
    Way("slope_of_two_values", "ENC_BAD_VALUE", every(put(Tag.SLOPE, "1\\1"))),
    Way("slope_of_text", "ENC_BAD_VALUE", every(put(Tag.SLOPE, "Erika"))),
    Way("slope_with_a_comma", "ENC_BAD_VALUE", every(put(Tag.SLOPE, "1,0"))),
    Way("slope_of_400_zeros_behind_the_point", ROW, every(put(Tag.SLOPE, "1." + "0" * 400))),
    Way("intercept_absent_in_one_slice", "VAL_NO_RESCALE", one(drop(Tag.INTERCEPT))),
    Way("intercept_absurd", "VAL_RANGE", every(put(Tag.INTERCEPT, "-1e30"))),
    Way("intercept_as_binary", "ENC_BAD_VALUE", every(put(Tag.INTERCEPT, b"\0\0\x80?\xff\xff", "FD"))),
]

GEOMETRY = [
    Way("position_absent", "GEO_NO_ORIENTATION", every(drop(Tag.POSITION))),
    Way("position_absent_in_one_slice", "GEO_NO_ORIENTATION", one(drop(Tag.POSITION))),
    Way("position_of_two_values", "ENC_BAD_VALUE", every(put(Tag.POSITION, "1\\2"))),
    Way("position_nan", "ENC_BAD_VALUE", one(put(Tag.POSITION, "NaN\\NaN\\NaN"))),
    Way("position_the_same", "GEO_TOO_FEW_SLICES", every(put(Tag.POSITION, "-93\\-93\\0"))),
    Way("position_far_apart", "ENC_BAD_VALUE", positions(lambda at: f"-93\\-93\\{at * 10**9}")),
    Way("position_sideways", "ENC_BAD_VALUE", positions(lambda at: f"{at * 10**9}\\-93\\{at * 18}")),
    Way("position_of_one_slice_sideways", "GEO_TILT", one(put(Tag.POSITION, "-93\\907\\0"))),
    Way("position_beyond_floats", "ENC_BAD_VALUE", positions(lambda at: f"-93\\-93\\{at}e400")),
    Way("position_near_the_end_of_floats", "ENC_BAD_VALUE", positions(lambda at: f"-93\\-93\\{at}e307")),
    Way("one_slice_at_the_place_of_another", "GEO_DUP_POSITION", one(put(Tag.POSITION, "-93\\-93\\-18"))),
    Way("orientation_absent", "GEO_NO_ORIENTATION", every(drop(Tag.ORIENTATION))),
    Way("orientation_zero", "GEO_BAD_ORIENTATION", every(put(Tag.ORIENTATION, "0\\0\\0\\0\\0\\0"))),
    Way("orientation_not_unit", "GEO_BAD_ORIENTATION", every(put(Tag.ORIENTATION, "2\\0\\0\\0\\2\\0"))),
    Way("orientation_nan", "ENC_BAD_VALUE", every(put(Tag.ORIENTATION, "NaN\\0\\0\\0\\1\\0"))),
    Way("orientation_huge", "GEO_BAD_ORIENTATION", every(put(Tag.ORIENTATION, "1e308\\1e308\\1e308\\0\\1\\0"))),
    Way("orientation_of_five_values", "ENC_BAD_VALUE", every(put(Tag.ORIENTATION, "1\\0\\0\\0\\1"))),
    Way("orientation_coronal", "GEO_NOT_AXIAL", every(put(Tag.ORIENTATION, "1\\0\\0\\0\\0\\-1"))),
    Way("orientation_differs_in_one_slice", "GEO_MIXED_ORIENTATION", one(put(Tag.ORIENTATION, "-1\\0\\0\\0\\-1\\0"))),
    Way("spacing_absent", "GEO_SPACING_CONFLICT", every(drop(Tag.SPACING))),
    Way("spacing_0", "GEO_SPACING_CONFLICT", every(put(Tag.SPACING, "0\\0"))),
    Way("spacing_negative", "GEO_SPACING_CONFLICT", every(put(Tag.SPACING, "-6\\6"))),
    Way("spacing_huge", "GEO_SPACING_CONFLICT", every(put(Tag.SPACING, "1e6\\1e6"))),
    Way("spacing_of_one_value", "ENC_BAD_VALUE", every(put(Tag.SPACING, "6"))),
    Way("spacing_of_400_digits", ROW, every(put(Tag.SPACING, "6." + "0" * 400 + "\\6." + "0" * 400))),
    Way("spacing_differs_in_one_slice", "SER_MIXED_UID", one(put(Tag.SPACING, "5\\5"))),
]

WAYS = [*FILES, *IDENTITY, *STRUCTURE, *COMPRESSED, *PIXELS, *SCALE, *GEOMETRY]
