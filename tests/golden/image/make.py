#!/usr/bin/env python3
"""Pictures in every format and mode that lib/data reads, and their pixels as Pillow gives them; resizing as Pillow does it.

    python3 make.py            writes decode.txt and resize.txt beside itself

decode.txt: name, width, height, the file in hex, the pixels in hex of ImageOps.exif_transpose(Image.open(file)).convert("RGB").
resize.txt: filter, width, height, new width, new height, the pixels in hex. The picture is bytes of a generator that the test has too.
Files that Pillow does not write (interlaced PNG, odd GIF, most BMP) are put together here. Made with Pillow 13.0.0."""
import io, os, random, struct, zlib
from PIL import Image, ImageOps

here = os.path.dirname(os.path.abspath(__file__))
draw = random.Random(6)


def noise(count, top=256):
    return bytes(draw.randrange(top) for _ in range(count))


def smooth(width, height, channels):
    """A gradient with some noise, so that a JPEG of it is small and not flat."""
    out = bytearray()
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                out.append(min(255, (x * (7 + 5 * c) + y * (11 - 3 * c) + 40 * c + draw.randrange(24)) % 256))
    return bytes(out)


def exif(orientation, order='<', kind=3):
    value = struct.pack(order + ('H' if kind == 3 else 'I'), orientation).ljust(4, b'\0')
    entries = [struct.pack(order + 'HHI', 0x112, kind, 1) + value, struct.pack(order + 'HHIHH', 0x128, 3, 1, 2, 0)]
    return (b'II*\0' if order == '<' else b'MM\0*') + struct.pack(order + 'IH', 8, len(entries)) + b''.join(entries) + bytes(4)


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def image_of(mode, width, height):
    return Image.frombytes(mode, (width, height), smooth(width, height, len(Image.new(mode, (1, 1)).getbands())))


# ---- PNG ----------------------------------------------------------------------------------------------------------------

def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def packed(samples, depth):
    if depth == 16:
        return struct.pack('>%dH' % len(samples), *samples)
    bits = ''.join(format(s, '0%db' % depth) for s in samples)
    bits += '0' * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def png(width, height, depth, color, interlaced=False, before=b'', after=b'', top=None):
    per = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    top = top or 2 ** depth
    rows = [[draw.randrange(top) for _ in range(width * per)] for _ in range(height)]
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b''
    for left, start, across, down in passes:
        for row in rows[start::down]:
            samples = [s for x in range(left, width, across) for s in row[x * per:(x + 1) * per]]
            if samples:
                raw += b'\0' + packed(samples, depth)
    body = zlib.compress(raw, 9)
    header = struct.pack('>IIBBBBB', width, height, depth, color, 0, 0, interlaced)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + before + chunk(b'IDAT', body[:20]) + chunk(b'IDAT', body[20:]) +
            after + chunk(b'IEND', b''))


def png_cases():
    for color, depths in ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16)), (6, (8, 16))):
        for depth in depths:
            for interlaced in (False, True):
                before = chunk(b'PLTE', noise(3 * 2 ** depth if depth < 8 else 60)) if color == 3 else b''
                if color == 3 and interlaced:
                    before += chunk(b'tRNS', noise(2))
                if color == 0 and interlaced:
                    before += chunk(b'tRNS', struct.pack('>H', 1))
                top = 20 if color == 3 and depth == 8 else 600 if color == 0 and depth == 16 else None
                yield 'png-%d-%d%s' % (color, depth, '-interlaced' if interlaced else ''), png(9, 7, depth, color, interlaced, before, top=top)
    yield 'png-exif-5', png(5, 3, 8, 2, before=chunk(b'eXIf', exif(5)))
    yield 'png-exif-behind-8', png(5, 3, 8, 2, after=chunk(b'eXIf', exif(8, '>')))
    yield 'png-xmp-6', png(5, 3, 8, 2, before=chunk(b'iTXt', b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'))
    yield 'png-short-palette', png(4, 4, 4, 3, before=chunk(b'PLTE', noise(12)))


# ---- GIF ----------------------------------------------------------------------------------------------------------------

def blocks(data):
    return b''.join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255)) + b'\0'


def lzw(indices, bits):
    """Codes of one index each; a clear code before they would grow longer."""
    codes, clear = [1 << bits], 1 << bits
    for n, index in enumerate(indices):
        codes.append(index)
        if n % (clear - 2) == clear - 3:
            codes.append(clear)
    number = sum(code << (bits + 1) * n for n, code in enumerate(codes + [clear + 1]))
    return number.to_bytes(((bits + 1) * (len(codes) + 1) + 7) // 8, 'little')


def gif(screen, frame, bits, common=True, own=False, interlaced=False, transparent=None):
    left, top, width, height = frame
    rows = [[draw.randrange(1 << bits) for _ in range(width)] for _ in range(height)]
    order = range(height)
    if interlaced:
        order = [*range(0, height, 8), *range(4, height, 8), *range(2, height, 4), *range(1, height, 2)]
    out = b'GIF89a' + struct.pack('<HHBBB', *screen, 0x80 | bits - 1 if common else 0, 1, 0) + (noise(3 << bits) if common else b'')
    out += b'!\xfe' + blocks(b'a comment')
    if transparent is not None:
        out += b'!\xf9\x04' + struct.pack('<BHB', 5, 3, transparent) + b'\0'
    out += b',' + struct.pack('<HHHHB', left, top, width, height, (64 if interlaced else 0) | (0x80 | bits - 1 if own else 0))
    out += noise(3 << bits) if own else b''
    return out + bytes([bits]) + blocks(lzw([i for y in order for i in rows[y]], bits)) + b';'


def gif_cases():
    yield 'gif-common', gif((9, 7), (0, 0, 9, 7), 4)
    yield 'gif-own', gif((9, 7), (0, 0, 9, 7), 3, own=True)
    yield 'gif-interlaced', gif((9, 21), (0, 0, 9, 21), 2, interlaced=True)
    yield 'gif-no-palette', gif((9, 7), (0, 0, 9, 7), 8, common=False)
    yield 'gif-inside', gif((9, 7), (2, 1, 4, 3), 4)
    yield 'gif-inside-transparent', gif((9, 7), (2, 1, 4, 3), 4, transparent=3)
    yield 'gif-past-screen', gif((5, 4), (2, 1, 6, 5), 4, transparent=2, own=True)
    frames = [Image.frombytes('P', (6, 5), noise(30, 4)) for _ in range(2)]
    for frame in frames:
        frame.putpalette(noise(12))
    yield 'gif-animated', saved(frames[0], 'GIF', save_all=True, append_images=frames[1:])


# ---- BMP ----------------------------------------------------------------------------------------------------------------

def bmp(width, height, bits, header=40, compression=0, masks=(), colors=0, pixels=None):
    stride = (width * bits + 31) // 32 * 4
    pixels = noise(stride * abs(height)) if pixels is None else pixels
    entry = 3 if header == 12 else 4
    palette = noise(entry * (colors or 1 << bits)) if bits <= 8 else b''
    if header == 12:
        head = struct.pack('<IHHHH', 12, width, height, 1, bits)
    else:
        head = struct.pack('<IiiHHIIIIII', header, width, height, 1, bits, compression, len(pixels), 0, 0, colors, 0)
        mask = struct.pack('<%dI' % len(masks), *masks)
        head = head + mask if header == 40 else (head + mask).ljust(header, b'\0')
    at = 14 + len(head) + len(palette)
    return b'BM' + struct.pack('<IHHI', at + len(pixels), 0, 0, at) + head + palette + pixels


def bmp_cases():
    for bits in (1, 4, 8):
        yield 'bmp-%d' % bits, bmp(9, 5, bits, colors=0 if bits < 8 else 40)
    yield 'bmp-os2', bmp(9, 5, 4, header=12)
    yield 'bmp-16', bmp(5, 4, 16)
    yield 'bmp-16-565', bmp(5, 4, 16, compression=3, masks=(0xf800, 0x7e0, 0x1f))
    yield 'bmp-24', bmp(5, 4, 24, header=124)
    yield 'bmp-24-top-down', bmp(5, -4, 24)
    yield 'bmp-32', bmp(5, 4, 32)
    yield 'bmp-32-masks', bmp(5, 4, 32, header=56, compression=3, masks=(0xff, 0xff00, 0xff0000, 0xff000000))
    yield 'bmp-rle8', bmp(6, 3, 8, compression=1, colors=20, pixels=bytes([4, 3, 0, 0, 0, 3, 1, 2, 3, 0, 3, 9, 0, 0, 0, 2, 2, 0, 4, 7, 0, 1]))
    yield 'bmp-rle4', bmp(7, 3, 4, compression=2, pixels=bytes([5, 0x12, 2, 0x34, 0, 0, 0, 7, 1, 2, 3, 4, 0, 0, 7, 0x9a, 0, 1]))


# ---- JPEG and WebP ------------------------------------------------------------------------------------------------------

def jpeg_cases():
    for name, sampling in (('444', 0), ('422', 1), ('420', 2)):
        for progressive in (False, True):
            yield ('jpeg-%s%s' % (name, '-progressive' if progressive else ''),
                   saved(image_of('RGB', 19, 13), 'JPEG', quality=80, subsampling=sampling, progressive=progressive))
    yield 'jpeg-grey', saved(image_of('L', 19, 13), 'JPEG', quality=60)
    yield 'jpeg-cmyk', saved(image_of('CMYK', 11, 9), 'JPEG', quality=75)
    yield 'jpeg-rgb', saved(image_of('RGB', 11, 9), 'JPEG', quality=90, keep_rgb=True)
    yield 'jpeg-restarts', saved(image_of('RGB', 40, 17), 'JPEG', quality=50, restart_marker_blocks=1)
    for orientation in range(10):
        yield ('jpeg-exif-%d' % orientation, saved(image_of('RGB', 6, 4), 'JPEG', quality=60, subsampling=0,
               exif=b'Exif\0\0' + exif(orientation, '<>'[orientation % 2], 3 + orientation % 3 // 2)))
    yield 'jpeg-xmp-3', saved(image_of('RGB', 6, 4), 'JPEG', quality=60, xmp=b'<a><tiff:Orientation>3</tiff:Orientation></a>')


def webp_cases():
    for mode in ('RGB', 'RGBA'):
        for lossless in (False, True):
            yield 'webp-%s%s' % (mode.lower(), '-lossless' if lossless else ''), saved(image_of(mode, 13, 9), 'WEBP', quality=70, lossless=lossless, exact=True)
    yield 'webp-exif-6', saved(image_of('RGB', 6, 4), 'WEBP', quality=70, exif=exif(6))
    yield 'webp-xmp-8', saved(image_of('RGB', 6, 4), 'WEBP', quality=70, xmp=b'<x tiff:Orientation="8"/>')
    frames = [image_of('RGBA', 8, 6) for _ in range(2)]
    yield 'webp-animated', saved(frames[0], 'WEBP', save_all=True, append_images=frames[1:], lossless=True)


def write_decode():
    with open(os.path.join(here, 'decode.txt'), 'w') as out:
        for cases in (jpeg_cases, png_cases, webp_cases, gif_cases, bmp_cases):
            for name, data in cases():
                image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert('RGB')
                print(name, *image.size, data.hex(), image.tobytes().hex(), file=out)


# ---- resizing -----------------------------------------------------------------------------------------------------------

def generated(width, height):
    state, out = width * 1000 + height, bytearray()
    for _ in range(width * height * 3):
        state = (state * 1664525 + 1013904223) % 2 ** 32
        byte = state >> 24
        out.append(byte if height % 2 else 255 if byte > 127 else 0)    # hard edges show what is clipped between the passes
    return Image.frombytes('RGB', (width, height), bytes(out))


def write_resize():
    sizes = [(13, 9, 7, 5), (13, 9, 13, 4), (13, 9, 4, 9), (13, 9, 13, 9), (13, 9, 27, 12), (7, 50, 6, 10), (60, 8, 11, 17), (12, 40, 23, 11),
             (50, 37, 22, 9), (3, 2, 24, 3), (1, 1, 5, 4), (90, 70, 2, 1), (40, 34, 3, 33), (8, 100, 5, 3)]
    with open(os.path.join(here, 'resize.txt'), 'w') as out:
        for width, height, w, h in sizes:
            for name, number in (('nearest', 0), ('lanczos', 1), ('bilinear', 2), ('bicubic', 3), ('box', 4), ('hamming', 5)):
                print(name, width, height, w, h, generated(width, height).resize((w, h), number).tobytes().hex(), file=out)


write_decode()
write_resize()
