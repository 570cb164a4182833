"""The vocabulary in which people speak of an infrared image: classes of words, and the words of each.

Standard library only: a metric's release copies this file beside `claims.py`. Each class has one letter, and the
grammar (`claim_reading.py` and its siblings) looks at these letters only, so a new word is a new entry here. Within an
entry, single words are separated by blanks; phrases follow, each behind a semicolon.
"""

BLACK, DARK, MID, BRIGHT, WHITE = -3, -2, 0, 2, 3

WORDS: dict[tuple[str, float | str], str] = {
    # b: tone; B: comparative tone; S: superlative tone (these two get most of their words from `_STEMS`)
    ("b", BLACK): """
        black blackish inky sooty ebony lightless pitch blackness blacks blackened; jet black; pitch black; pitch dark;
        coal black; close to black; hardly lighter than black; barely lighter than black; scarcely lighter than black;
        little lighter than black; just short of black; verging on black; bordering on black; all but black; not far
        off black; not far from black
    """,
    ("b", DARK): """
        dark dim sombre somber murky gloomy shadowy dusky unlit charcoal darkish darkened shadowed shadow shadows
        darkness gloom dimness underexposed darks dingy dimly darkly; darkest toned; low key; dark grey;
        charcoal grey; slate grey; deep grey; dark toned; below mid grey; below middle grey; below medium
        grey; beneath mid grey; under mid grey; below half; darker than mid grey; darker than middle grey; darker than
        medium grey; darker than average; in shadow; in darkness; in the dark; dark end; darker end; darker half; lower
        end; dark side of mid grey; bottom end; below the middle of the scale; bottom of the scale; below average;
        below light grey; under light grey; below white; darker than light grey; near the bottom of the grey scale;
        lower half of the grey scale; lower half of the scale; lower part of the grey scale; lower part of the scale
    """,
    ("b", MID): """
        medium middling midtone midtones midgrey; mid grey; middle grey; medium grey; medium
; mid greys; middle greys; medium greys; mid tone; mid tones; middle tones; medium tones; medium tone;
        neutral grey; intermediate grey; intermediate greys; intermediate tones; middle of the scale; middle of the
        grey scale; middle of the range; mid range; mid level; mid scale; moderately bright; moderately dark;
        moderately lit; neither dark nor bright; neither bright nor dark; neither light nor dark; neither dark nor
        light; neither black nor white; neither very bright nor very dark; neither very dark nor very bright; neither
        particularly bright nor particularly dark; neither particularly dark nor particularly bright; halfway between
        black and white; half way between black and white; midway between black and white; average grey; ordinary grey;
        plain grey; middle ground
    """,
    ("b", BRIGHT): """
        bright brightly light lightish pale palish luminous glowing glow glows shining shiny shines shine brilliant
        brilliantly gleaming gleams gleam lit radiant illuminated overexposed whitish pallid blanched bleached blazing
        beaming lustrous silvery milky chalky lights highlights highlight brilliance whiteness ablaze alight aglow
        glinting sparkling glistening lightened brightened brights paleness radiance; light grey; pale
        grey; light toned; lit up; well lit; lights up; high key; stands out brightly; above mid grey; above
        middle grey; above medium grey; above half; over mid grey; lighter than mid grey; lighter than middle grey;
        lighter than medium grey; brighter than mid grey; brighter than average; lighter than average; bright end;
        light end; lighter end; brighter end; lighter half; brighter half; upper end; top end; above the middle of the
        scale; top of the scale; upper half of the grey scale; upper half of the scale; upper part of the grey scale;
        upper part of the scale; above average; above dark grey; over dark grey; above black; beyond dark grey; lighter
        than dark grey; brighter than dark grey; full of light; flooded with light; bathed in light; washed in light
    """,
    ("b", WHITE): """
        white whites snowy dazzling dazzlingly blinding blindingly glaring glaringly glare incandescent; snow white;
        pure white; bright white; brilliant white; blown out; burnt out; burned out; close to white; just short of
        white; little short of white; verging on white; bordering on white; all but white; not far off white; not far
        from white
    """,
    ("B", -1): """
        ;less bright; less luminous; less brilliant; less light; more sombre; more shadowy; toned down; lower in
        brightness; lower in intensity; lower in tone; lower grey; deeper grey; deeper tones; deeper in tone; closer to
        black; nearer to black; nearer black
    """,
    ("B", 1): """
        ;less dark; less dim; less black; less gloomy; more luminous; more brilliant; more radiant; outshines outshine;
        higher in brightness; higher in intensity; higher in tone; closer to white; nearer to white
    """,
    ("S", -1): """
        ;least bright; least luminous; least brilliant; minimum brightness; brightness minimum; darkest of all; deepest
        black; deepest blacks; deepest shadow; deepest shadows; deepest darkness; deepest tones; deepest tone; deepest
        shade; deepest grey; deepest greys; least light; most sombre; most shadowy; closest to black; low point; least
        lit; heaviest shadow; heaviest shadows; deepest dark; lowest lying tones
    """,
    ("S", 1): """
        hottest; least dark; peak brightness; brightness peak; brightness peaks; maximum brightness; brightness
        maximum; most luminous; most brilliant; most radiant; most intense; closest to white; most glaring; best lit;
        high point; most dazzling; most strongly lit; outshines everything; outshines all
    """,
    # v: the visible image; r: the infrared image; i: an image, or all of it; t: tones
    ("v", 1): """
        visible rgb optical colour color coloured colored daylight photograph photo colours colors panchromatic; true
        colour; visible light; naked eye; human eye; ordinary light; ordinary picture; ordinary image; ordinary
        photograph; normal image; normal picture; other image; other picture; other panel; other view; companion image;
        companion picture; image beside it; picture beside it; image next to it; the eye sees; left panel; in both
        images; in both pictures; in both views; in both bands; both images; both pictures; both views; both bands;
        both versions; either image; two images; two pictures; two bands; two views
    """,
    ("r", 1): """
        infrared ir nir swir lwir mwir thermal shortwave longwave midwave here; infra red; near infrared; short wave;
        long wave; mid wave; infrared style; this band; this rendering; this version
    """,
    ("i", 1): """
        image scene tile frame picture view overall everything whole impression screen everywhere throughout it canvas
        exposure appearance look mood chip shot snapshot overview rendition; this one; on average; in general; on the
        whole; as a whole; all over; edge to edge; side to side; end to end; corner to corner; border to border; top to
        bottom; across the board; on balance; by and large; all in all; wall to wall; left to right and top to bottom;
        from edge to edge; from side to side; from end to end; from corner to corner; from border to border; from top
        to bottom; from wall to wall
    """,
    ("t", 1): """
        tone tones tonal tonally tonality grey greys gray grays shade shades brightness intensity intensities pixel
        pixels value values level levels signal signals return returns response responses luminance lightness histogram
        luminosity digital greyness reflection backscatter greyscale grayscale; grey values; grey value;
        grey levels; grey level; grey scale; grey tones; grey tone; shades of
        grey; pixel values; brightness values; intensity values; grey shades; shade of grey
    """,
    # c: contrast; C: what stands against something; g: a range or difference
    ("c", 1): """
        contrast dynamics; light dark difference; tonal contrast; dynamic range; range of tones; range of greys; range
        of grays
    """,
    ("C", 1): """
        contrasts contrasting contrasty contrasted; in contrast to; stand out sharply; stands out sharply; set off
        sharply; sets off sharply; sharply set off
    """,
    ("g", 1): """
        range ranges spread span variation variations variety difference differences gamut distinction distinctions
        diversity variance modulation gradation gradations separation scale spectrum palette interval differentiation
        fluctuation fluctuations amplitude extent gap divergence band jump jumps leap gulf
    """,
    # K: narrow or wide, of a range; k: tones close together or far apart; u: uniform
    ("K", -1): """
        handful narrow confined restricted compressed squeezed tight tightly cramped constrained; limited range; only a
        few; just a few; handful of; very few; only few
    """,
    ("K", 1): "wide broad full vast broadly widely wildly",
    ("k", -1): """
        huddle huddled huddles bunched bunch clustered cluster clusters crowded packed collapsed condensed lumped
        indistinguishable undifferentiated; close together; close to one another; close to each other; much alike;
        almost alike; nearly alike; nearly equal; almost equal; nearly identical; almost identical; all alike; hardly
        varies; hardly vary; hardly varying; barely varying; scarcely varying; barely varies; barely vary; scarcely
        varies; scarcely vary; hardly differ; barely differ; scarcely differ; hardly changes; hardly change; barely
        changes; barely change; scarcely changes; scarcely change; one shade; one tone; one grey; one even grey; one
        flat grey; one uniform grey; one dull grey; one even tone; same even grey; one even shade; one single grey; one
        single tone; single shade; single tone; single grey; single level; same shade; same tone; same grey; same
        brightness; same level; similar shade; similar tone; similar grey; similar shades; similar tones; similar
        greys; similar brightness; similar levels; similar values; few shades; few greys; few tones; few levels;
        handful of greys; handful of shades; handful of tones; few grey levels; blend into one; merge into one; run
        together; blend together; merge together; differ little; differs little; vary little; varies little; lie close;
        differ only slightly; vary only slightly; varies only slightly; differ slightly; vary slightly; much the same;
        little variation; close in tone; close in brightness; close in value; alike in tone; without extremes; no
        extremes; lacks extremes; avoids extremes; avoids both extremes; little difference; little apart; hard to tell
        apart; difficult to tell apart; all one
    """,
    ("k", 1): """
        vary varies varied varying differ extremes diverse distinguishable distinguished distinguish separated
        discerned; far apart; both extremes; opposite ends; both ends; whole range; entire range; whole scale; entire
        scale; full scale; full range; complete range; whole gamut; entire gamut; full gamut; full spectrum; whole
        spectrum; vary widely; vary strongly; vary greatly; differ strongly; differ greatly; extremes meet; stand
        apart; set apart; clearly separated; easy to tell apart; told apart; tell apart; kept apart; made out from
    """,
    ("u", 1): """
        uniform uniformly uniformity flat flatly monotone monotonous monochromatic bland hazy haze foggy tame lifeless
        dull drab unvaried unvarying invariable constant unmodulated contrastless toneless flattened colourless
        undramatic unaccented veiled; washed out; faded out; sheet of grey
    """,
    # a: an amount; A: a compared amount, 2 for the superlative
    ("a", -2): """
        minimal negligible imperceptible nil zero; very low; very little; very weak; very slight; very faint; extremely
        low; extremely weak; extremely little; exceptionally low; next to no; close to no; hardly any; almost no;
        scarcely any; barely any; virtually no; practically no; precious little; nearly no; very poor; very small; very
        limited; too little; next to nothing; close to nothing; nearly nothing; hardly noticeable; barely noticeable;
        hardly perceptible; barely perceptible; barely visible; hardly visible; scarcely visible
    """,
    ("a", -1): """
        low weak little faint slight limited subdued muted modest small poor gentle restrained soft feeble meagre
        meager mild scant mere slightly weakly faintly reduced minor lacklustre shallow tiny; not much; not very much;
        only some
    """,
    ("a", 0): "moderate fair intermediate average",
    ("a", 1): """
        high strong sharp bold marked pronounced considerable great good ample striking punchy dramatic intense
        substantial vigorous hard strongly sharply highly heavy heavily rich richly markedly decided definite
        conspicuous powerful big huge large abundant plentiful vigorously vivid deep clear clearly distinct emphatic
        robust massive sizeable strikingly plenty lots loads tons heaps much
    """,
    ("a", 2): """
        extreme stark harsh enormous maximal starkly harshly fierce tremendous immense drastic; very high; very strong;
        very sharp; very marked; very pronounced; extremely high; extremely strong; extremely sharp; exceptionally
        high; exceptionally strong; very great; very large
    """,
    ("A", -1): "lower weaker fainter smaller gentler softer less; more subdued; more muted",
    ("A", 1): "higher stronger sharper greater larger more; more pronounced; more marked",
    ("A", -2): "lowest weakest faintest smallest minimum; minimal est",
    ("A", 2): "highest strongest sharpest greatest largest maximum peak peaks",
    # s: smooth or rough; d: fine structure, less where the noun often is an object's (0.7) or its border (0.5);
    # j: soft or sharp in focus
    ("s", -1): """
        smooth smoothly smoothness featureless silky glassy unbroken structureless textureless untextured plain velvety
        satin homogeneous homogenous blank calm polished even evenly evenness unwrinkled unmottled unspeckled satiny
        sleek seamless clean uncluttered slick creamy unstructured undisturbed unruffled cottony vague undetailed empty
        mirrorlike patternless; low detail; broad smooth; gentle gradients; soft gradients; smooth gradients
    """,
    ("s", 1): """
        rough roughness roughen roughened roughens grainy gritty mottled mottling speckled speckling speckle blotchy
        busy patchy streaky streaked rugged coarse coarsely rippled ridged wrinkled wrinkly crinkled furrowed textured
        graininess uneven noisy noise cluttered intricate stippled dappled pebbly jagged serrated bumpy crumpled
        corrugated lumpy detailed variegated flecked peppered dotted spotty fragmented mosaic chequered checkered
        granular pitted scratchy lined veined bristly restless turbulent marbled pockmarked craggy choppy scaly fibrous
        tangled complex irregular striped stripy striated banded gravelly crackled cracked creased rumpled etched
        mottle patchwork checkerboard unsmooth inhomogeneous heterogeneous freckled scribbled stubbly sandpapery
        sandpaper structured patterned crisscrossed furry frayed knobbly nubbly; roughly textured; salt and pepper;
        salt and pepper look; fine grained; coarse grained; richly structured; finely structured; criss crossed; broken
        up; highly structured; cut up; chopped up; highly detailed; broken into
    """,
    ("d", 1): """
        texture textures detail details structure structures grain ridges wrinkles ripples speckles furrows creases
        striations bumps undulations wrinkling patterning clutter lineations irregularities unevenness flecks blotches
        grains corrugations; variation in texture; fine structure; fine detail; fine details; fine lines; internal
        structure; many edges; fine pattern; fine texture; small structures; small features; little specks; tiny
        specks; small specks; small spots; tiny spots; little dots; tiny dots; small dots; fine specks; fine dots;
        bright and dark specks; dark and bright specks; light and dark specks; countless specks; countless dots; little
        bits; small bits; tiny bits; tiny patches; small patches; many small patches
    """,
    ("d", 0.7): """
        line ridge ripple wrinkle streak crease streaks lines stripes features folds relief; hard lines
    """,
    ("d", 0.5): """
        edge boundaries boundary outlines outline contours edges; sharp edges; hard edges; clear edges; crisp edges;
        sharp boundaries; sharp borders; sharp outlines; sharp transitions; clear boundaries; visible edges; distinct
        edges
    """,
    ("j", 1): """
        crisp crisply outlined; in sharp focus; in focus; razor sharp; well defined; finely etched; pin sharp; sharply
        defined; sharply drawn; clearly defined; clearly outlined; sharply outlined; tack sharp; needle sharp; knife
        edged; hard edged; sharp edged; crisp edged
    """,
    ("j", -1): """
        blurred blurry blur fuzzy smeared smudged smudgy diffuse unsharp woolly blurring softened; soft focus; out of
        focus; soft edged; soft edges; soft outlines; soft transitions; gradual transitions; gentle transitions; ill
        defined; poorly defined; low resolution; melt into; melts into; bleed into; lack of focus; lacks focus
    """,
    # N: negation behind its noun; n: negation; m: most or all of it
    ("N", 1): "absent missing lost gone nonexistent wanting; hardly there; barely there",
    ("n", 1): """
        no not never hardly scarcely barely few without lacking lack lacks lacked nothing none neither nor devoid
        cannot nowhere fails fail bereft rarely seldom absence isn't aren't doesn't don't wasn't weren't won't can't;
        free of; free from; far from; rather than; instead of; anything but; empty of; short of; almost none; almost
        nothing; hardly anything; not a single; not one; not any; by no means; in no way; not at all; no real; no sign
        of; no trace of; devoid of; void of; no longer; as opposed to; not so much as; struggle to; hard to find;
        difficult to find; in vain; impossible to
    """,
    ("m", 1): """
        most mostly predominantly predominant predominate predominates mainly largely majority prevail prevails
        prevailing dominate dominates dominated dominant dominating all every fills fill filling filled covers cover
        entirely wholly completely totally entire complete thoroughly widespread pervades drenched steeped sunk
        submerged engulfs engulfed swallowed swallows swamped plunged plunges cloaked shrouded flooded overwhelmingly
        occupies occupy chiefly solid solidly rules reigns overwhelming; much of; over half; more than half; most of;
        three quarters; two thirds; nearly all; almost all; bulk of; greater part; large part of; large parts of;
        better part; nearly everywhere; almost everywhere; almost everything; nearly everything; for the most part;
        given over to; make up most; makes up most; take up most; takes up most; take up much; takes up much; three
        fourths; good deal of; great deal of; large share of; lion's share
    """,
    # h: than; H: compared with; V: darkens, brightens; q: decreases, increases; o: towards; O: from
    ("h", 1): "than",
    ("H", 1): """
        compared comparison comparing relative versus vs alongside; compared with; compared to; in comparison with; in
        comparison to; relative to; next to the; beside the; by comparison; measured against; set against
    """,
    ("V", -1): """
        darken darkens darkening blacken blackens dims dimming; fade to black; fades to black; fading to black; fades
        to dark; fades into darkness; sinks into darkness; turns darker; gets darker; grows darker; becomes darker
    """,
    ("V", 1): """
        brighten brightens brightening lighten lightens lightening whiten whitens whitening; fades to white; gets
        brighter; gets lighter; grows brighter; grows lighter; becomes brighter; becomes lighter; turns lighter; fades
        to light
    """,
    ("q", -1): """
        decrease decreases decreasing decline declines declining drop drops dropping fades fade fading diminish
        diminishes sinks sinking falls falling wanes lessens descends; drops off; falls off; tails off
    """,
    ("q", 1): """
        increase increases increasing rise rises rising climb climbs climbing mounts ascends builds intensifies grows
        gains swells
    """,
    ("o", 1): "to towards toward into",
    ("O", 1): "from",
    # e: same, 1, different, -1, or reversed, -2; L: light and dark, as a pattern
    ("e", 1): """
        same alike similar similarly match matches matching mirror mirrors mirroring mirrored follow follows following
        echo echoes echoing resemble resembles resembling reproduce reproduces repeat repeats repeated preserve
        preserves preserved agree agrees correspond corresponds corresponding identical coincide coincides unchanged
        parallels copies tally tallies retain retains retained faithful faithfully consistent replica recur recurs
        reappear reappears imitates imitate recognisable recognizable; line up; lines up; in step with; just like;
        looks like; keeps its place; keep its place; keep their place; keep their places; keeps its position; in the
        same place; in the same places; carried over; carry over; carries over; go hand in hand; goes hand in hand; as
        in the; much as in; much like; in line with; holds its place; same layout; same arrangement; as it is in; as
        they are in
    """,
    ("e", -1): """
        different differs differently unlike departs deviates unrelated dissimilar disagree disagrees mismatch
        unrecognisable unrecognizable diverge diverges rearranged independent; bears no resemblance; bears little
        resemblance; bear no resemblance; no resemblance; little resemblance; nothing in common; little in common; has
        nothing to do with; bears no relation; no relation; little relation; no similarity; little similarity; no
        correspondence; nothing like; quite another; differ from; not the same; no counterpart
    """,
    ("e", -2): """
        reverse reverses reversed reversal invert inverts inverted inversion swap swaps swapped negative opposite
        flipped flips exchanged exchange interchanged contrary inverse inversely; trade places; change places; trades
        places; switch places; traded places; changed places; turned inside out; other way round; other way around;
        exact opposite; the opposite; photographic negative; vice versa; switch roles; exchange roles; swap roles;
        turned around; turned round; upside down; changed roles; switched roles; roles reversed
    """,
    ("L", 1): """
        pattern patterns layout arrangement shapes distribution geometry; light and dark; dark and light; bright and
        dark; dark and bright; light and shade; lights and darks; darks and lights; light and shadow; lights and
        shadows; bright and dark areas; dark and bright areas; light and dark areas; dark and light areas; light and
        dark patches; dark and light patches; bright and dark patches; light and dark parts; dark and light parts
    """,
    # y: becomes; z: stays; l: a colour of the visible image
    ("y", 1): """
        become becomes became becoming turn turns turned turning rendered renders render changes convert converts
        converted transforms transformed translates translated switches goes go registers register; ends up; come out;
        comes out; coming out; came out; shows up as; show up as; shows up; show up; showing up; shows as; show as;
        appears as; appear as; reads as; read as; shown as; goes to; flips to; flip to; turns into; turn into; turns
        out; comes across as; recorded as; comes through; come through; is shown; are shown; end up; is mapped to
    """,
    ("z", 1): """
        stay stays stayed staying remain remains remained remaining keep keeps kept still likewise too; as well; in
        both; continues to be; just as
    """,
    ("l", "green"): "green greenish greenery",
    ("l", "blue"): """
        blue teal turquoise cyan aqua bluish aquamarine azure navy; blue green; green blue; bluish green; greenish blue
    """,
    ("l", "warm"): """
        red orange brown tan reddish brownish yellow yellowish ochre beige rust rusty maroon pink pinkish golden russet
        buff khaki terracotta salmon
    """,
    # x: words of the ground, and no claim
    ("x", 1): """
        likely; most likely; patchwork of; small patches of; many small patches of; tiny patches of; mosaic of; network
        of; mix of; mixture of; expanse of; stretch of; cover of; blend of
    """,
    # w: an area of unnamed kind; W and &: conjunctions; =: copula; f: function words and hedges
    ("w", 1): """
        area areas part parts patch patches spot spots region regions portion portions zone zones section sections
        block blocks object objects blob blobs point points piece pieces place places mass stretch swathe bit bits
        thing things anything element elements surfaces dot dots speck specks
    """,
    ("W", 1): "but while whereas whilst although though yet however",
    ("&", 1): "and or",
    ("=", 1): """
        is are was were be been being looks looked looking appear appears appeared appearing seem seems has have show
        shows showing having lies lie sits sit gives give displays display exhibits offers presents carries stands
        reaches makes make
    """,
    ("f", 1): """
        the a an this that these those its their his of in on at by with as which who whose where when what there very
        extremely exceptionally rather fairly quite relatively somewhat almost nearly close practically virtually only
        just merely simply perfectly absolutely pretty so really truly plainly obviously distinctly noticeably visibly
        evidently deeply pure sheer utterly generally typically usually comparatively both also then thus hence far
        already now again along near around about across over under beneath above below between beside beyond within
        inside outside through for per if any some one ones two three several each other another they them itself we
        you can could may might must will would should do does did seen viewed made taken judged set stuck tending
        tends leaning leans kind sort quality nature remarkably unusually surprisingly notably particularly especially
        decidedly mean state effect rest fully nigh anywhere lot well slightest running ranging going side; well nigh;
        to the eye; in tone; in brightness; of the scale; apart from; except for; of all; by far; in places; here and
        there; in character; in nature; more or less; at all; at least; a lot; a bit; kind of; sort of; on show; in
        sight; to be seen; that is; in terms of; all the more; in colour and; all its; nor any; even if; even though;
        even in; even at; even over; even across; even the; even with; even on; even where; even when; even so; even
        under; even here; even there; even among; even around; right across; right through; right over; right up; right
        down; to the full; on the light side of; in total; a few; quite a few; in it; of it; for a; no matter; left
        over; nothing left; none left; is left; are left
    """,
}
_STEMS = {
    -1: ("dark", "dimm", "black", "gloomi", "murki", "duski", "inki"),
    1: ("bright", "light", "pal", "whit", "shini"),
}
for _sign, _stems in _STEMS.items():
    WORDS["B", _sign] += "".join(f"; {stem}er" for stem in _stems)
    WORDS["S", _sign] += "".join(f"; {stem}est" for stem in _stems)
