"""The vocabulary in which people speak of an infrared image: classes of words, and the words of each.

Standard library only: a metric's release copies the whole folder. The classes and the values within them are explained
in `kinds.py`. The grammar looks at these only, so a new word is a new entry here. Within an entry, single words are
separated by blanks; phrases follow, each behind a semicolon.
"""

from .kinds import BLACK, BRIGHT, DARK, MID, WHITE, Kind

WORDS: dict[tuple[Kind, float | str], str] = {
    # comparatives and superlatives get most of their words from `_STEMS`
    (Kind.TONE, BLACK): """
        pitchy tarry soot ink jet sable stygian obsidian raven midnight nocturnal coaly nighttime black blackish inky
        sooty ebony lightless pitch blackness blacks blackened; jet black; pitch black; pitch dark; coal black; close
        to black; little lighter than black; just short of black; verging on black; bordering on black; all but black;
        not far off black; not far from black; ink black; black end of the scale; black end of the grey scale; black
        end; little more than black; nothing but black; near zero; close to zero; night time; coal dark; soot black;
        tar black; dead black; utter black; near black; blacked out; black as night; absence of light; starved of
        light; lights off; lights out
    """,
    (Kind.TONE, DARK): """
        umber sunless crepuscular twilight caliginous darkling umbral dark dim sombre somber murky gloomy shadowy
        dusky unlit charcoal darkish darkened shadowed shadow shadows darkness gloom dimness underexposed darks dingy
        dimly darkly; darkest toned; low key; dark grey; charcoal grey; slate grey; deep grey; deep greys;
        deep grey tones; dark toned; below half;
        darker than average; in shadow; in darkness; in the dark; dark end; darker end; darker half; lower end; dark
        side of mid grey; bottom end; below the middle of the scale; bottom of the scale; below average; below light
        grey; under light grey; below white; darker than light grey; near the bottom of the grey scale; lower half of
        the grey scale; lower half of the scale; lower part of the grey scale; lower part of the scale; poorly lit;
        little light; scant light; not much light; low light; lack of light; little brightness; hardly any light; deep
        shade; heavy shade; deep shadow; thick shadow; dimly lit; badly lit; starved for light
    """,
    (Kind.TONE, MID): """
        medium middling midtone midtones midgrey; mid grey; middle grey; medium grey; medium; mid greys; middle greys;
        medium greys; mid tone; mid tones; middle tones; medium tones; medium tone; neutral grey; intermediate grey;
        intermediate greys; intermediate tones; middle of the scale; middle of the grey scale; middle of the range;
        mid range; mid level; mid scale; moderately bright; moderately dark; moderately lit; neither dark nor bright;
        neither bright nor dark; neither light nor dark; neither dark nor light; neither black nor white; neither very
        bright nor very dark; neither very dark nor very bright; neither particularly bright nor particularly dark;
        neither particularly dark nor particularly bright; halfway between black and white; half way between black and
        white; midway between black and white; average grey; ordinary grey; plain grey; middle ground; middle tone;
        mid toned; medium toned; middling grey; middling greys; in between greys; half tones; half tone; middle value;
        middle values; medium values
    """,
    (Kind.TONE, BRIGHT): """
        sunlit ivory pearly aglitter resplendent airy refulgent lucent pearlescent sunny lightness bright brightly
        light lightish pale palish luminous glowing glow glows shining shiny shines shine brilliant brilliantly
        gleaming gleams gleam lit radiant illuminated whitish pallid blanched beaming lustrous silvery milky chalky
        lights highlights highlight brilliance whiteness ablaze alight aglow glinting sparkling glistening lightened
        brightened brights paleness radiance; light grey; pale grey; light toned; lit up; well lit; lights up;
        light up;
        high key; stands out brightly; above half; brighter than average; lighter than average; bright end; light end;
        lighter end; brighter end; lighter half; brighter half; upper end; top end; above the middle of the scale; top
        of the scale; upper half of the grey scale; upper half of the scale; upper part of the grey scale; upper part
        of the scale; above average; above dark grey; over dark grey; above black; beyond dark grey; lighter than dark
        grey; brighter than dark grey; full of light; flooded with light; bathed in light; washed in light; brightly
        lit; lit brightly; light filled; light flooded; snow bright; sun bleached; light in tone
    """,
    (Kind.TONE, WHITE): """
        alabaster saturated saturation overexposed overexposure blazing bleached glares white whites snowy dazzling
        dazzlingly blinding blindingly glaring glaringly glare incandescent; snow white; pure white; bright white;
        brilliant white; blown out; burnt out; burned out; close to white; just short of white; little short of white;
        verging on white; bordering on white; all but white; not far off white; not far from white; blown; white end
        of the scale; white end of the grey scale; white end; little more than white; nothing but white; white hot;
        paper white; chalk white; milk white; near white; dead white; whited out; clipped to white; saturated to
        white; maxed out; blazing white; glaring white; dazzling white; bleached out
    """,
    (Kind.COMPARATIVE, -1): """
        ;less bright; less luminous; less brilliant; less light; more sombre; more shadowy; toned down; lower in
        brightness; lower in intensity; lower in tone; lower grey; deeper grey; deeper tones; deeper in tone; closer
        to black; nearer to black; nearer black; lose brightness; loses brightness; drops in brightness; loses light;
        lose light; duller; gloomier; blacker
    """,
    (Kind.COMPARATIVE, 1): """
        ;less dark; less dim; less black; less gloomy; more luminous; more brilliant; more radiant; outshines
        outshine; higher in brightness; higher in intensity; higher in tone; closer to white; nearer to white
    """,
    (Kind.SUPERLATIVE, -1): """
        ;least bright; least luminous; least brilliant; minimum brightness; brightness minimum; darkest of all;
        deepest black; deepest blacks; deepest shadow; deepest shadows; deepest darkness; deepest tones; deepest tone;
        deepest shade; deepest grey; deepest greys; least light; most sombre; most shadowy; closest to black; low
        point; least lit; heaviest shadow; heaviest shadows; deepest dark; lowest lying tones; greyest; grayest;
        murkiest; gloomiest; dimmest
    """,
    (Kind.SUPERLATIVE, 1): """
        hottest; least dark; peak brightness; brightness peak; brightness peaks; maximum brightness; brightness
        maximum; most luminous; most brilliant; most radiant; most intense; closest to white; most glaring; best lit;
        high point; most dazzling; most strongly lit; outshines everything; outshines all
    """,
    (Kind.VISIBLE, 1): """
        visible rgb optical colour color coloured colored daylight photograph photo colours colors panchromatic; true
        colour; visible light; naked eye; human eye; ordinary light; ordinary picture; ordinary image; ordinary
        photograph; normal image; normal picture; other image; other picture; other panel; other view; companion
        image; companion picture; image beside it; picture beside it; image next to it; the eye sees; left panel; in
        both images; in both pictures; in both views; in both bands; both images; both pictures; both views; both
        bands; both versions; either image; two images; two pictures; two bands; two views
    """,
    (Kind.INFRARED, 1): """
        infrared ir nir swir lwir mwir thermal shortwave longwave midwave here; infra red; near infrared; short wave;
        long wave; mid wave; infrared style; this band; this rendering; this version
    """,
    (Kind.IMAGE, 1): """
        extent plate panel image scene tile frame picture view overall everything whole impression screen everywhere
        throughout it canvas exposure appearance look mood chip shot snapshot overview rendition; this one; on
        average; in general; on the whole; as a whole; all over; edge to edge; side to side; end to end; corner to
        corner; border to border; top to bottom; across the board; on balance; by and large; all in all; wall to wall;
        left to right and top to bottom; from edge to edge; from side to side; from end to end; from corner to corner;
        one edge to the other; from one edge to the other; from one side to the other; from one end to the other; from
        one corner to the other; from border to border; from top to bottom; from wall to wall; full extent; entire
        extent; whole extent; full width; full height; margin to margin; one end to the other; one side to the other;
        top and bottom; every bit; every part; every inch; every corner; in every corner; wherever you look; wherever
        one looks; the lot
    """,
    (Kind.BRIGHTNESS, 1): """
        tone tones tonal tonally tonality grey greys gray grays shade shades brightness intensity intensities pixel
        pixels value values level levels signal signals return returns response responses luminance lightness
        histogram luminosity digital greyness reflection backscatter greyscale grayscale; grey values; grey value;
        grey levels; grey level; grey scale; grey tones; grey tone; shades of grey; pixel values; brightness values;
        intensity values; grey shades; shade of grey
    """,
    (Kind.CONTRAST, 1): """
        contrast dynamics; light dark difference; tonal contrast; dynamic range; range of tones; range of greys; range
        of grays
    """,
    (Kind.CLASH, 1): """
        chiaroscuro punchy duotone clash clashes clashing contrasts contrasting contrasty contrasted; in contrast to;
        stand out sharply; stands out sharply; set off sharply; sets off sharply; sharply set off; stands out firmly;
        stand out firmly; two tone; stands out starkly; stand out starkly; stands out strongly; stand out strongly;
        stands out against; stand out against; sharply divided; starkly divided; set sharply against; set starkly
        against
    """,
    (Kind.RANGE, 1): """
        range ranges spread span variation variations variety difference differences gamut distinction distinctions
        diversity variance modulation gradation gradations separation scale spectrum palette interval differentiation
        fluctuation fluctuations amplitude gap divergence band split divide opposition oppositions rift chasm jump
        jumps leap gulf
    """,
    (Kind.WIDTH, -1): """
        handful narrow confined restricted compressed squeezed tight tightly cramped constrained; limited range; only
        a few; just a few; handful of; very few; only few
    """,
    (Kind.WIDTH, 1): "wide broad full vast broadly widely wildly",
    (Kind.DISTANCE, -1): """
        confounded merge huddle huddled huddles bunched bunch clustered cluster clusters crowded packed collapsed
        condensed lumped indistinguishable undifferentiated; close together; close to one another; close to each
        other; much alike; almost alike; nearly alike; nearly equal; almost equal; nearly identical; almost identical;
        all alike; hardly varies; hardly vary; hardly varying; barely varying; scarcely varying; barely varies; barely
        vary; scarcely varies; scarcely vary; hardly differ; barely differ; scarcely differ; hardly changes; hardly
        change; barely changes; barely change; scarcely changes; scarcely change; same even grey; same shade; same
        tone; same grey; same brightness; same level; similar shade; similar tone; similar grey; similar shades;
        similar tones; similar greys; similar brightness; similar levels; similar values; few shades; few greys; few
        tones; few levels; handful of greys; handful of shades; handful of tones; few grey levels; blend into one;
        merge into one; run together; blend together; merge together; differ little; differs little; vary little;
        varies little; lie close; differ only slightly; vary only slightly; varies only slightly; differ slightly;
        vary slightly; much the same; little variation; close in tone; close in brightness; close in value; alike in
        tone; without extremes; no extremes; lacks extremes; avoids extremes; avoids both extremes; little difference;
        little apart; hard to tell apart; difficult to tell apart; all one; well matched; blend into; merge into;
        merging into; blending into; fuse into; fused into; nearly match; almost match; closely match; all of a piece;
        no one tone; cannot be told apart; can't be told apart; no different from; close neighbours; near identical;
        within a few; within a whisker of; within a hair of; keep close together; stay close together; stick close
        together; hug one; hugs one; equally bright; equally dark; equally grey; nothing stands out; no part stands
        out; nothing stands apart; nothing sticks out; thin spike; narrow spike; single spike; one spike; narrow peak;
        narrow hump; hardly stray; barely stray; scarcely stray; hardly strays; hardly departs; hardly depart; hardly
        deviates; hardly deviate; thin slice; thin slices; slim slice; slim band; thin band; narrow slice; narrow
        band; sliver of the scale; a hair
    """,
    (Kind.DISTANCE, 1): """
        vary varies varied varying differ extremes diverse distinguishable distinguished distinguish separated
        discerned; far apart; both extremes; opposite ends; both ends; whole range; entire range; whole scale; entire
        scale; full scale; full range; complete range; whole gamut; entire gamut; full gamut; full spectrum; whole
        spectrum; vary widely; vary strongly; vary greatly; differ strongly; differ greatly; extremes meet; stand
        apart; set apart; depart from a; depart from one; departs from one; departs from a; stray from; strays from;
        deviate from a; deviate from one; deviates from one; clearly separated; easy to tell apart; told apart; tell
        apart; tell any part from; tell one part from; tell one from; told from; kept apart; made out from
    """,
    (Kind.UNIFORM, 1): """
        unmodulated unrelieved undiversified samey equal invariant undistinguished steady uniform uniformly uniformity
        flat flatly monotone monotonous monochromatic bland tame lifeless dull drab unvaried unvarying invariable
        constant contrastless toneless flattened colourless undramatic unaccented veiled; washed out; faded out; even
        in tone; even tone; even tones; all one; of a piece; a wash; wash of; one wash; flat wash; slab of grey; sheet
        of grey; plate of grey; block of grey; blank wall; wall of grey; field of grey; plane of grey; without
        variation; without variety
    """,
    (Kind.AMOUNT, -2): """
        minimal negligible imperceptible nil zero; very low; very little; very weak; very slight; very faint;
        extremely low; extremely weak; extremely little; exceptionally low; next to no; close to no; hardly any;
        almost no; scarcely any; barely any; virtually no; practically no; precious little; nearly no; very poor; very
        small; very limited; too little; next to nothing; close to nothing; nearly nothing; hardly noticeable; barely
        noticeable; hardly perceptible; barely perceptible; barely visible; hardly visible; scarcely visible
    """,
    (Kind.AMOUNT, -1): """
        low weak little subtle subtly delicate faint slight limited subdued muted modest small poor gentle restrained
        soft feeble meagre meager mild scant mere slightly weakly faintly reduced minor lacklustre shallow tiny; not
        much; not very much; only some
    """,
    (Kind.AMOUNT, 0): "moderate fair intermediate average",
    (Kind.AMOUNT, 1): """
        high strong sharp bold marked pronounced considerable great good ample striking punchy dramatic intense
        substantial vigorous hard strongly sharply highly heavy heavily rich richly markedly decided definite
        conspicuous powerful big huge large abundant plentiful vigorously vivid deep clear clearly distinct emphatic
        robust massive sizeable strikingly plenty lots loads tons heaps much
    """,
    (Kind.AMOUNT, 2): """
        extreme stark harsh enormous maximal starkly harshly fierce tremendous immense drastic; very high; very
        strong; very sharp; very marked; very pronounced; extremely high; extremely strong; extremely sharp;
        exceptionally high; exceptionally strong; very great; very large
    """,
    (Kind.COMPARED_AMOUNT, -1): "lower weaker fainter smaller gentler softer less; more subdued; more muted",
    (Kind.COMPARED_AMOUNT, 1): "higher stronger sharper greater larger more; more pronounced; more marked",
    (Kind.COMPARED_AMOUNT, -2): "lowest weakest faintest smallest minimum; minimal est",
    (Kind.COMPARED_AMOUNT, 2): "highest strongest sharpest greatest largest maximum peak peaks",
    (Kind.SURFACE, -1): """
        smooth smoothly smoothness immaculate spotless featureless silky glassy unbroken structureless textureless
        untextured plain velvety satin homogeneous homogenous blank calm polished even evenly evenness unwrinkled
        unmottled unspeckled satiny sleek seamless clean uncluttered slick creamy unstructured undisturbed unruffled
        cottony vague undetailed empty mirrorlike patternless; low detail; broad smooth; gentle gradients; soft
        gradients; smooth gradients; without grain; without texture; even in texture; even texture; softly blended;
        glass smooth; mirror smooth; silk smooth; perfectly even; smooth shading; softly shaded; gently shaded; gentle
        gradient; smooth gradient; soft gradient; uninterrupted gradient; free of grain; soft shading; shading
        drifting gently; broad surfaces; soft surfaces
    """,
    (Kind.SURFACE, 1): """
        corduroy hatched hatching crosshatched mesh meshed knotted gnarled ragged shredded splintered pimpled dimpled
        pocked scarred scored grooved ribbed tweedy woven cobbled pebbled rubbly rubble grizzled crusty fissured
        shattered jumbled jumble fretted frothy knobby mealy sandy stony rocky gravel grit scabrous scruffy shaggy
        unsmoothed crackling crackle honeycombed tessellated rough roughness roughen roughened roughens grainy gritty
        mottled mottling speckled speckling speckle blotchy busy patchy streaky streaked rugged coarse coarsely
        rippled ridged wrinkled wrinkly crinkled furrowed textured graininess uneven noisy noise cluttered intricate
        stippled dappled pebbly jagged serrated bumpy crumpled corrugated lumpy detailed variegated flecked peppered
        dotted spotty fragmented mosaic chequered checkered granular pitted scratchy lined veined bristly restless
        turbulent marbled pockmarked craggy choppy scaly fibrous tangled complex irregular striped stripy striated
        banded gravelly crackled cracked creased rumpled etched mottle patchwork checkerboard unsmooth inhomogeneous
        heterogeneous freckled scribbled stubbly sandpapery sandpaper structured patterned crisscrossed furry frayed
        knobbly nubbly; roughly textured; salt and pepper; salt and pepper look; fine grained; coarse grained; richly
        structured; finely structured; criss crossed; broken up; highly structured; cut up; chopped up; highly
        detailed; broken into; pock marked; carved up; carves up; crumpled foil; high frequency; criss cross; full of
        fine; full of small; full of tiny; full of little; full of lines; full of streaks; full of grain
    """,
    (Kind.DETAIL, 1): """
        squiggles notches nicks dimples pits blemish blemishes flaw flaws lumps pores cracks gashes ledge ledges
        texture textures detail details structure structures grain ridges wrinkles ripples speckles furrows creases
        striations bumps undulations wrinkling patterning clutter lineations irregularities unevenness flecks blotches
        grains corrugations; variation in texture; fine structure; fine detail; fine details; fine lines; internal
        structure; many edges; fine pattern; fine texture; small structures; small features; little specks; tiny
        specks; small specks; small spots; tiny spots; little dots; tiny dots; small dots; fine specks; fine dots;
        bright and dark specks; dark and bright specks; light and dark specks; countless specks; countless dots;
        little bits; small bits; tiny bits; tiny patches; small patches; many small patches
    """,
    (Kind.DETAIL, 0.7): """
        line ridge ripple wrinkle streak crease streaks lines stripes features folds relief; hard lines
    """,
    (Kind.DETAIL, 0.5): """
        edge boundaries boundary outlines outline contours edges; sharp edges; hard edges; clear edges; crisp edges;
        sharp boundaries; sharp borders; sharp outlines; sharp transitions; clear boundaries; visible edges; distinct
        edges
    """,
    (Kind.FOCUS, 1): """
        crisp crisply outlined; in sharp focus; in focus; razor sharp; well defined; finely etched; pin sharp; sharply
        defined; sharply drawn; clearly defined; clearly outlined; sharply outlined; tack sharp; needle sharp; knife
        edged; hard edged; sharp edged; crisp edged; violent edges; hard transitions; abrupt transitions; abrupt
        edges; knife sharp; ruler straight; ruler sharp; pixel sharp; crystal clear; razor edged; cleanly drawn;
        cleanly cut; sharp rims; hard rimmed
    """,
    (Kind.FOCUS, -1): """
        hazy haze foggy misty melting feathered feathery vaporous blurred blurry blur fuzzy smeared smudged smudgy
        diffuse unsharp woolly blurring softened; soft focus; out of focus; soft edged; soft edges; soft outlines;
        soft transitions; gradual transitions; gentle transitions; ill defined; poorly defined; low resolution; melt
        into; melts into; bleed into; lack of focus; lacks focus; looks soft; look soft; appears soft; soft all over;
        soft look; rather soft; frosted glass; few crisp; few sharp; soft shapes; soft contours; soft borders; fuzzy
        borders; blurred borders; lost edges
    """,
    (Kind.ABSENCE, 1): """
        absent missing lost gone nonexistent wanting; all but absent; nearly absent; almost absent; hardly there;
        barely there
    """,
    (Kind.NEGATION, 1): """
        no not never hardly scarcely barely few without lacking lack lacks lacked nothing none neither nor devoid
        cannot nowhere fails fail bereft rarely seldom absence isn't aren't doesn't don't wasn't weren't won't can't;
        free of; free from; far from; rather than; instead of; anything but; empty of; short of; almost none; almost
        nothing; hardly anything; not a single; not one; not any; by no means; in no way; not at all; no real; no sign
        of; no trace of; devoid of; void of; no longer; as opposed to; not so much as; struggle to; hard to find;
        difficult to find; in vain; impossible to; less than half; fewer than half; under half
    """,
    (Kind.MOST, 1): """
        pervasive drowned drowning drowns buried awash pervading pervade blanketing blankets blanket blanketed soaks
        soaked soaking flooding flood floods engulfing covering lots most mostly predominantly predominant predominate
        predominates mainly largely majority prevail prevails prevailing dominate dominates dominated dominant
        dominating all every fills fill filling filled covers cover entirely wholly completely totally entire complete
        thoroughly widespread pervades drenched steeped sunk submerged engulfs engulfed swallowed swallows swamped
        plunged plunges cloaked shrouded flooded overwhelmingly occupies occupy chiefly solid solidly rules reigns
        overwhelming; much of; over half; more than half; most of; three quarters; two thirds; nearly all; almost all;
        bulk of; greater part; large part of; large parts of; better part; nearly everywhere; almost everywhere;
        almost everything; nearly everything; for the most part; given over to; make up most; makes up most; take up
        most; takes up most; take up much; takes up much; three fourths; good deal of; great deal of; large share of;
        lion's share; takes up practically; takes up nearly; takes up almost; take up nearly; take up almost; wall to
        wall; next to everything; just about everything; nearly the entire; nearly the full; overrun by; overrun with
    """,
    # places that name no part and no side
    (Kind.PLACE, "south side"): "; low down; lies low; lie low; sits low; sit low; far down; at the foot",
    (Kind.PLACE, "north side"): "; high up; lies high; lie high; sits high; sit high; far up",
    (Kind.THAN, 1): "than",
    (Kind.COMPARISON, 1): """
        compared comparison comparing relative versus vs alongside; compared with; compared to; in comparison with; in
        comparison to; relative to; next to the; beside the; by comparison; measured against; set against
    """,
    (Kind.TONE_CHANGE, -1): """
        darken darkens darkening blacken blackens dims dimming; fade to black; fades to black; fading to black; fades
        to dark; fades into darkness; sinks into darkness; turns darker; gets darker; grows darker; becomes darker;
        sinks into black; sinks to black
    """,
    (Kind.TONE_CHANGE, 1): """
        brighten brightens brightening lighten lightens lightening whiten whitens whitening; fades to white; gets
        brighter; gets lighter; grows brighter; grows lighter; becomes brighter; becomes lighter; turns lighter; fades
        to light
    """,
    (Kind.CHANGE, -1): """
        decrease decreases decreasing decline declines declining drop drops dropping fades fade fading diminish
        diminishes sinks sinking falls falling wanes lessens descends; drops off; falls off; tails off
    """,
    (Kind.CHANGE, 1): """
        increase increases increasing rise rises rising climb climbs climbing mounts ascends builds intensifies grows
        gains swells
    """,
    (Kind.TOWARDS, 1): "to towards toward into",
    (Kind.FROM, 1): "from",
    (Kind.LIKENESS, 1): """
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
    (Kind.LIKENESS, -1): """
        different differs differently unlike departs deviates unrelated dissimilar disagree disagrees mismatch
        unrecognisable unrecognizable diverge diverges rearranged independent; bears no resemblance; bears little
        resemblance; bear no resemblance; no resemblance; little resemblance; nothing in common; little in common; has
        nothing to do with; bears no relation; no relation; little relation; no similarity; little similarity; no
        correspondence; nothing like; quite another; differ from; not the same; no counterpart
    """,
    (Kind.LIKENESS, -2): """
        reverse reverses reversed reversal invert inverts inverted inversion swap swaps swapped negative opposite
        flipped flips exchanged exchange interchanged contrary inverse inversely; trade places; change places; trades
        places; switch places; traded places; changed places; turned inside out; other way round; other way around;
        exact opposite; the opposite; photographic negative; vice versa; switch roles; exchange roles; swap roles;
        turned around; turned round; upside down; changed roles; switched roles; roles reversed
    """,
    (Kind.PATTERN, 1): """
        pattern patterns layout arrangement shapes distribution geometry; light and dark; dark and light; bright and
        dark; dark and bright; light and shade; lights and darks; darks and lights; light and shadow; lights and
        shadows; bright and dark areas; dark and bright areas; light and dark areas; dark and light areas; light and
        dark patches; dark and light patches; bright and dark patches; light and dark parts; dark and light parts
    """,
    (Kind.BECOMES, 1): """
        become becomes became becoming turn turns turned turning rendered renders render changes convert converts
        converted transforms transformed translates translated switches goes go registers register; ends up; come out;
        comes out; coming out; came out; shows up as; show up as; shows up; show up; showing up; shows as; show as;
        appears as; appear as; reads as; read as; shown as; goes to; flips to; flip to; turns into; turn into; turns
        out; comes across as; recorded as; comes through; come through; is shown; are shown; end up; is mapped to
    """,
    (Kind.STAYS, 1): """
        stay stays stayed staying remain remains remained remaining keep keeps kept still likewise too; as well; in
        both; continues to be; just as; every bit as; no less; equally
    """,
    (Kind.COLOUR, "green"): "green greenish greenery",
    (Kind.COLOUR, "blue"): """
        blue teal turquoise cyan aqua bluish aquamarine azure navy; blue green; green blue; bluish green; greenish
        blue
    """,
    (Kind.COLOUR, "warm"): """
        red orange brown tan reddish brownish yellow yellowish ochre beige rust rusty maroon pink pinkish golden
        russet buff khaki terracotta salmon
    """,
    (Kind.GROUND, 1): """
        likely; infrared light; near infrared light; ir light; nir light; of a piece of; a piece of; piece of;
        centre line; center line; middle line; most likely; patchwork of; small patches of; many small patches
        of; tiny patches of; mosaic of; network of; mix of; mixture of; expanse of; stretch of; cover of; blend of;
        this plain; the plains; across the plain; unlike in colour; different in colour; alike in colour
    """,
    (Kind.PART, 1): """
        area areas part parts patch patches spot spots region regions portion portions zone zones section sections
        block blocks object objects blob blobs point points piece pieces place places mass stretch swathe bit bits
        thing things anything element elements surfaces dot dots speck specks
    """,
    (Kind.BUT, 1): "but while whereas whilst although though yet however",
    (Kind.AND, 1): "and or",
    (Kind.COPULA, 1): """
        is are was were be been being looks looked looking appear appears appeared appearing seem seems has have show
        shows showing having lies lie sits sit gives give displays display exhibits offers presents carries stands
        reaches makes make
    """,
    (Kind.FUNCTION, 1): """
        reads comfortably carving basically what strikes the a an this that these those its their his of in on at by
        with as which who whose where when there very extremely exceptionally rather fairly quite relatively somewhat
        almost nearly close practically virtually only just merely simply perfectly absolutely pretty so really truly
        plainly obviously distinctly noticeably visibly evidently deeply pure sheer utterly generally typically
        usually comparatively both also then thus hence far already now again along near around about across over
        under beneath above below between beside beyond within inside outside through for per if any some one ones two
        three several each other another they them itself we you can could may might must will would should do does
        did seen viewed made taken judged set stuck tending tends leaning leans kind sort quality nature remarkably
        unusually surprisingly notably particularly especially decidedly mean state effect rest fully nigh anywhere
        lot well slightest running ranging going side; well nigh; to the eye; in tone; in brightness; of the scale;
        apart from; except for; small scale; leaving aside; aside from; save for; other than; of all; by far; in
        places; here and there; in character; in nature; more or less; at all; at least; a lot; a bit; kind of; sort
        of; on show; in sight; to be seen; that is; in terms of; all the more; in colour and; all its; nor any; even
        if; even though; even in; even at; even over; even across; even the; even with; even on; even where; even
        when; even so; even under; even here; even there; even among; even around; right across; right through; right
        over; right up; right down; to the full; on the light side of; in total; a few; quite a few; in it; of it; for
        a; without a gap; without gaps; without a break; without interruption;
        no matter; left over; nothing left; none left; is left; are left; sheet of; expanse of pure; sea of;
        blanket of; veil of; taken as a whole; on the whole; that is to say; worth mentioning; worth the name; to
        speak of; evenly over; evenly across;
        scattered evenly;
        evenly scattered; evenly spread; spread evenly; evenly distributed; distributed evenly;
        it comes down to; catches the eye
    """,
}
_STEMS = {
    -1: ("dark", "dimm", "black", "gloomi", "murki", "duski", "inki"),
    1: ("bright", "light", "pal", "whit", "shini"),
}
for _sign, _stems in _STEMS.items():
    WORDS[Kind.COMPARATIVE, _sign] += "".join(f"; {stem}er" for stem in _stems)
    WORDS[Kind.SUPERLATIVE, _sign] += "".join(f"; {stem}est" for stem in _stems)


def words_of(text: str) -> frozenset[str]:
    """The words of a text, each once."""
    return frozenset(text.split())
